// Token embedding with positions and dropout, and its gradient.
//
//   SemdistillEmbed(table [G,V,d], ids [N], positions [t,d], rates, site) -> y [G,N,d]
//     y[g,n] = dropout(table[g, ids[n]] sqrt(d) + positions[n mod t]); the mask [N,d] is the same for all groups (see ops.h)
//   SemdistillEmbedGrad(d_y [G,N,d], ids [N], shape [V], rates, site) -> d_table [G,V,d], rows added in the order of ids
#include "ops.h"

namespace semdistill {
namespace {

struct Work {
  std::vector<float> factors;
  std::vector<uint32_t> words;
  explicit Work(int64_t width) : factors(width, 1.0f), words(width + 72) {}
};

CLONES void embedRow(const float* table, int64_t vocabulary, int64_t groups, int64_t rows, int64_t row, int id, const float* position,
                     int64_t width, const Dropout& dropout, Work& work, float* y) {
  float* factors = work.factors.data();
  if (dropout.active) rowFactors(dropout, row, width, work.words.data(), factors);
  const float root = std::sqrt(static_cast<float>(width));
  for (int64_t g = 0; g < groups; ++g) {
    const float* from = table + (g * vocabulary + id) * width;
    float* to = y + (g * rows + row) * width;
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) to[c] = (from[c] * root + position[c]) * factors[c];
  }
}

bool idsFit(Call& call, int64_t vocabulary) {
  const int32_t* ids = call.integers(1);
  for (int64_t i = 0; i < call.size(1); ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary) return false;
  return true;
}

void forward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), vocabulary = call.dim(0, 1), width = call.dim(0, 2), rows = call.size(1);
  if (call.rank(0) != 3 || call.rank(2) != 2 || call.dim(2, 1) != width || call.dim(2, 0) < 1)
    return call.refuse("SemdistillEmbed: shapes do not match");
  if (!idsFit(call, vocabulary)) return call.refuse("SemdistillEmbed: an id lies outside the vocabulary");
  float* y = call.output(0, {groups, rows, width});
  if (y == nullptr) return;
  const Dropout dropout(call, 3, 4, width);
  const int64_t tokens = call.dim(2, 0);
#pragma omp parallel
  {
    Work work(width);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; ++row)
      embedRow(call.floats(0), vocabulary, groups, rows, row, call.integers(1)[row], call.floats(2) + row % tokens * width, width, dropout,
               work, y);
  }
}

// All rows of one group.
CLONES void scatter(const float* slope, int64_t rows, const int32_t* ids, int64_t width, const Dropout& dropout, Work& work, float* table) {
  float* factors = work.factors.data();
  const float root = std::sqrt(static_cast<float>(width));
  for (int64_t row = 0; row < rows; ++row) {
    if (dropout.active) rowFactors(dropout, row, width, work.words.data(), factors);
    const float* from = slope + row * width;
    float* to = table + ids[row] * width;
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) to[c] += from[c] * root * factors[c];
  }
}

void backward(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), width = call.dim(0, 2);
  if (call.rank(0) != 3 || call.size(1) != rows || call.size(2) != 1) return call.refuse("SemdistillEmbedGrad: shapes do not match");
  const int64_t vocabulary = call.integers(2)[0];
  if (!idsFit(call, vocabulary)) return call.refuse("SemdistillEmbedGrad: an id lies outside the vocabulary");
  float* table = call.output(0, {groups, vocabulary, width});
  if (table == nullptr) return;
  const Dropout dropout(call, 3, 4, width);
  const int64_t size = vocabulary * width;
#pragma omp parallel for schedule(static)
  for (int64_t g = 0; g < groups; ++g) {
    Work work(width);
    std::memset(table + g * size, 0, sizeof(float) * size);
    scatter(call.floats(0) + g * rows * width, rows, call.integers(1), width, dropout, work, table + g * size);
  }
}

}  // namespace

bool registerEmbedding(TF_Status* status) {
  return registerOperation("SemdistillEmbed", {"table: float", "ids: int32", "positions: float", "rates: float", "site: int32"},
                           {"y: float"}, &forward, status) &&
         registerOperation("SemdistillEmbedGrad", {"slope: float", "ids: int32", "vocabulary: int32", "rates: float", "site: int32"},
                           {"table_gradient: float"}, &backward, status);
}

}  // namespace semdistill
