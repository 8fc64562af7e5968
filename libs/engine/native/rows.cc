// Row by row: bias and relu; residual, dropout and layer norm; their gradients. Each is one pass through memory.
//
//   SemdistillBiasRelu(x [G,N,f], bias [G,f]) -> y = max(x + bias, 0)
//   SemdistillBiasReluGrad(y, d_y) -> d_x = d_y where y > 0, d_bias [G,f]
//   SemdistillAddNorm(x [G,N,d], branch [G,N,d], branch_bias [G,d], gain [G,d], bias [G,d], rates, site) -> y [G,N,d], statistics [G,N,2]
//     s = x + dropout(branch + branch_bias);  y = (s - mean(s)) / sqrt(variance(s) + 1e-6) gain + bias
//     statistics = mean, 1 / sqrt(variance + 1e-6). The dropout mask [N,d] is the same for all groups (see ops.h).
//   SemdistillAddNormGrad(x, branch, branch_bias, gain, statistics, rates, site, d_y)
//     -> d_x, d_branch (empty without dropout: it is d_x), d_branch_bias, d_gain, d_bias
//
// Sums over rows are taken block by block in a fixed order, so they do not depend on the number of threads.
#include "ops.h"

namespace semdistill {
namespace {

constexpr int64_t kRows = 32;  // rows a block
constexpr float kEpsilon = 1e-6f;

int64_t blocksOf(int64_t rows) { return (rows + kRows - 1) / kRows; }

CLONES void biasRelu(const float* x, const float* bias, int64_t rows, int64_t width, float* y) {
  for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) {
      const float v = x[i * width + c] + bias[c];
      y[i * width + c] = v > 0 || v != v ? v : 0.0f;  // NaN stays NaN
    }
}

CLONES void biasReluGrad(const float* y, const float* slope, int64_t rows, int64_t width, float* gradient, float* part) {
  for (int64_t c = 0; c < width; ++c) part[c] = 0;
  for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) {
      const float v = y[i * width + c] > 0 ? slope[i * width + c] : 0.0f;
      gradient[i * width + c] = v;
      part[c] += v;
    }
}

void biasReluForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2);
  if (call.rank(0) != 3 || !call.is(1, {groups, width})) return call.refuse("SemdistillBiasRelu: shapes do not match");
  float* y = call.output(0, {groups, rows, width});
  if (y == nullptr) return;
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t block = 0; block < blocksOf(rows); ++block) {
      const int64_t from = block * kRows, at = (g * rows + from) * width;
      biasRelu(call.floats(0) + at, call.floats(1) + g * width, std::min(kRows, rows - from), width, y + at);
    }
}

void biasReluBackward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2), blocks = blocksOf(rows);
  if (call.rank(0) != 3 || !call.is(1, {groups, rows, width})) return call.refuse("SemdistillBiasReluGrad: shapes do not match");
  float *x = call.output(0, {groups, rows, width}), *bias = x ? call.output(1, {groups, width}) : nullptr;
  if (bias == nullptr) return;
  std::vector<float> parts(groups * blocks * width);
#pragma omp parallel for schedule(static) collapse(2)
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t from = block * kRows, at = (g * rows + from) * width;
      biasReluGrad(call.floats(0) + at, call.floats(1) + at, std::min(kRows, rows - from), width, x + at,
                   parts.data() + (g * blocks + block) * width);
    }
  for (int64_t g = 0; g < groups; ++g) addParts(parts.data() + g * blocks * width, blocks, width, bias + g * width);
}

// Everything the two directions of AddNorm read.
struct Norm {
  const float *x, *branch, *branchBias, *gain;
  int64_t rows, width;
  const Dropout& dropout;
};

INLINE float sumOf(const float* x, int64_t width) {
  float lanes[16] = {};
  int64_t c = 0;
  for (; c + 16 <= width; c += 16)
#pragma omp simd
    for (int j = 0; j < 16; ++j) lanes[j] += x[c + j];
  float sum = 0;
  for (; c < width; ++c) sum += x[c];
  for (int j = 0; j < 16; ++j) sum += lanes[j];
  return sum;
}

INLINE float dotOf(const float* x, const float* y, int64_t width) {
  float lanes[16] = {};
  int64_t c = 0;
  for (; c + 16 <= width; c += 16)
#pragma omp simd
    for (int j = 0; j < 16; ++j) lanes[j] += x[c + j] * y[c + j];
  float sum = 0;
  for (; c < width; ++c) sum += x[c] * y[c];
  for (int j = 0; j < 16; ++j) sum += lanes[j];
  return sum;
}

// s = x + factor (branch + bias); without dropout factors are null.
INLINE void residual(const float* x, const float* branch, const float* bias, const float* factors, int64_t width, float* s) {
  if (factors == nullptr)
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) s[c] = x[c] + (branch[c] + bias[c]);
  else
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) s[c] = x[c] + (branch[c] + bias[c]) * factors[c];
}

struct Scratch {
  std::vector<float> row, slope, factors;
  std::vector<uint32_t> words;
  explicit Scratch(int64_t width) : row(width), slope(width), factors(width), words(width + 72) {}
};

CLONES void addNormRow(const Norm& n, int64_t groups, int64_t row, const float* bias, float* y, float* statistics, Scratch& scratch) {
  const int64_t d = n.width;
  float *s = scratch.row.data(), *factors = nullptr;
  if (n.dropout.active) rowFactors(n.dropout, row, d, scratch.words.data(), factors = scratch.factors.data());
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t at = (g * n.rows + row) * d;
    residual(n.x + at, n.branch + at, n.branchBias + g * d, factors, d, s);
    const float mean = sumOf(s, d) / d;
#pragma omp simd
    for (int64_t c = 0; c < d; ++c) s[c] -= mean;
    const float root = 1.0f / std::sqrt(dotOf(s, s, d) / d + kEpsilon);
    const float *gain = n.gain + g * d, *shift = bias + g * d;
    float* out = y + at;
#pragma omp simd
    for (int64_t c = 0; c < d; ++c) out[c] = s[c] * root * gain[c] + shift[c];
    statistics[2 * (g * n.rows + row)] = mean;
    statistics[2 * (g * n.rows + row) + 1] = root;
  }
}

// parts [G][3 d]: branch bias, gain, bias
CLONES void addNormGradRow(const Norm& n, int64_t groups, int64_t row, const float* statistics, const float* slope, float* x, float* branch,
                           float* parts, int64_t partStride, Scratch& scratch) {
  const int64_t d = n.width;
  float *h = scratch.row.data(), *dh = scratch.slope.data(), *factors = nullptr;
  if (n.dropout.active) rowFactors(n.dropout, row, d, scratch.words.data(), factors = scratch.factors.data());
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t at = (g * n.rows + row) * d;
    residual(n.x + at, n.branch + at, n.branchBias + g * d, factors, d, h);
    const float mean = statistics[2 * (g * n.rows + row)], root = statistics[2 * (g * n.rows + row) + 1];
    const float *gain = n.gain + g * d, *dy = slope + at;
    float *part = parts + g * partStride, *dx = x + at;
#pragma omp simd
    for (int64_t c = 0; c < d; ++c) {
      h[c] = (h[c] - mean) * root;
      dh[c] = dy[c] * gain[c];
      part[d + c] += dy[c] * h[c];
      part[2 * d + c] += dy[c];
    }
    const float meanSlope = sumOf(dh, d) / d, meanProduct = dotOf(dh, h, d) / d;
    if (factors == nullptr) {
#pragma omp simd
      for (int64_t c = 0; c < d; ++c) {
        dx[c] = root * (dh[c] - meanSlope - h[c] * meanProduct);
        part[c] += dx[c];
      }
    } else {
      float* db = branch + at;
#pragma omp simd
      for (int64_t c = 0; c < d; ++c) {
        dx[c] = root * (dh[c] - meanSlope - h[c] * meanProduct);
        db[c] = dx[c] * factors[c];
        part[c] += db[c];
      }
    }
  }
}

bool fits(Call& call, int gain) {
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2);
  return call.rank(0) == 3 && call.is(1, {groups, rows, width}) && call.is(2, {groups, width}) && call.is(gain, {groups, width});
}

void addNormForward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2);
  if (!fits(call, 3) || !call.is(4, {groups, width})) return call.refuse("SemdistillAddNorm: shapes do not match");
  float *y = call.output(0, {groups, rows, width}), *statistics = y ? call.output(1, {groups, rows, 2}) : nullptr;
  if (statistics == nullptr) return;
  const Dropout dropout(call, 5, 6, width);
  const Norm norm{call.floats(0), call.floats(1), call.floats(2), call.floats(3), rows, width, dropout};
#pragma omp parallel
  {
    Scratch scratch(width);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; ++row) addNormRow(norm, groups, row, call.floats(4), y, statistics, scratch);
  }
}

void addNormBackward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2), blocks = blocksOf(rows);
  if (!fits(call, 3) || !call.is(4, {groups, rows, 2}) || !call.is(7, {groups, rows, width}))
    return call.refuse("SemdistillAddNormGrad: shapes do not match");
  const Dropout dropout(call, 5, 6, width);
  const int64_t branchWidth = dropout.active ? width : 0;
  float *x = call.output(0, {groups, rows, width}), *branch = x ? call.output(1, {groups, rows, branchWidth}) : nullptr;
  float* sums[3] = {};
  for (int i = 0; i < 3; ++i)
    if (x == nullptr || (sums[i] = call.output(2 + i, {groups, width})) == nullptr) return;
  if (branchWidth > 0 && branch == nullptr) return;
  const Norm norm{call.floats(0), call.floats(1), call.floats(2), call.floats(3), rows, width, dropout};
  std::vector<float> parts(groups * blocks * 3 * width);
#pragma omp parallel
  {
    Scratch scratch(width);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t row = block * kRows; row < std::min(rows, (block + 1) * kRows); ++row)
        addNormGradRow(norm, groups, row, call.floats(4), call.floats(7), x, branch, parts.data() + block * 3 * width, blocks * 3 * width,
                       scratch);
  }
  std::vector<float> total(3 * width);
  for (int64_t g = 0; g < groups; ++g) {
    addParts(parts.data() + g * blocks * 3 * width, blocks, 3 * width, total.data());
    for (int i = 0; i < 3; ++i) std::copy_n(total.data() + i * width, width, sums[i] + g * width);
  }
}

}  // namespace

bool registerRows(TF_Status* status) {
  return registerOperation("SemdistillBiasRelu", {"x: float", "bias: float"}, {"y: float"}, &biasReluForward, status) &&
         registerOperation("SemdistillBiasReluGrad", {"y: float", "slope: float"}, {"x_gradient: float", "bias_gradient: float"},
                           &biasReluBackward, status) &&
         registerOperation("SemdistillAddNorm",
                           {"x: float", "branch: float", "branch_bias: float", "gain: float", "bias: float", "rates: float", "site: int32"},
                           {"y: float", "statistics: float"}, &addNormForward, status) &&
         registerOperation("SemdistillAddNormGrad",
                           {"x: float", "branch: float", "branch_bias: float", "gain: float", "statistics: float", "rates: float",
                            "site: int32", "slope: float"},
                           {"x_gradient: float", "branch_gradient: float", "branch_bias_gradient: float", "gain_gradient: float",
                            "bias_gradient: float"},
                           &addNormBackward, status);
}

}  // namespace semdistill
