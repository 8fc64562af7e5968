// Multi-head attention of whole sentences as one TensorFlow op, and its gradient. Scores live in the cache of a core and are
// computed again for the gradient, so nothing of size tokens x tokens is ever kept. Biases of the projections are added on loading.
//
//   SemdistillAttention(query [G,B t,Wq], memory [G,B m,Wm], query_bias [G,Wq], memory_bias [G,Wm], lengths [B], layout [10])
//     -> context [G,B t,H w]
//   layout = batch B, query tokens t, memory tokens m, heads H, head width w, causal, columns of the first query, key and value
//   head, packed. Position i sees the first lengths[b] positions of the memory, and with `causal` only those up to i.
//   context = softmax((q + bq)(k + bk)' / sqrt(w)) (v + bv), heads side by side
//   SemdistillAttentionGrad(the same, d_context) -> d_query, d_memory, d_query_bias, d_memory_bias
//   packed: query and memory are one tensor [q k v] (self-attention); then d_query holds all of it and d_memory is empty.
//
// Each sentence of each group is one thread's work; sums over sentences are taken in a fixed order.
#include "ops.h"

namespace semdistill {
namespace {

struct Layout {
  int64_t groups, batch, tokens, memoryTokens, heads, width, queryWidth, memoryWidth;
  bool causal, packed;
  int64_t query, key, value;
  int64_t padded() const { return (memoryTokens + 15) / 16 * 16; }
};

struct Inputs {
  const float *query, *memory, *queryBias, *memoryBias;
  const int32_t* lengths;
};

// Work space of one thread: keys and values of a head with their biases, once by row and once by column.
struct Space {
  std::vector<float> keyColumns, keys, valueColumns, values, scores, slopes, keyGradient, valueGradient, query;
  explicit Space(const Layout& l)
      : keyColumns(l.width * l.padded()), keys(l.width * l.padded()), valueColumns(l.width * l.padded()),
        values(l.width * l.padded()), scores(l.padded()), slopes(l.padded()), keyGradient(l.width * l.padded()),
        valueGradient(l.width * l.padded()), query(l.width) {}
};

// Rows [m, w] (and columns [w, padded]) of one head, biases added; padding is zero.
template <int W>
INLINE void load(const float* from, int64_t stride, const float* bias, int64_t tokens, int64_t padded, int64_t width, float* rows,
                 float* columns) {
  const int64_t w = W > 0 ? W : width;
  for (int64_t j = 0; j < tokens; ++j)
    for (int64_t c = 0; c < w; ++c) {
      const float x = from[j * stride + c] + bias[c];
      rows[j * w + c] = x;
      columns[c * padded + j] = x;
    }
  for (int64_t c = 0; c < w; ++c)
    for (int64_t j = tokens; j < padded; ++j) columns[c * padded + j] = 0;
}

// out[j] = sum over c of x[c] columns[c][j]
template <int W>
INLINE void byColumns(const float* x, const float* columns, int64_t padded, int64_t width, float* out) {
  const int64_t w = W > 0 ? W : width;
  for (int64_t from = 0; from < padded; from += 16) {
    float sum[16] = {};
    for (int64_t c = 0; c < w; ++c)
#pragma omp simd
      for (int j = 0; j < 16; ++j) sum[j] += x[c] * columns[c * padded + from + j];
#pragma omp simd
    for (int j = 0; j < 16; ++j) out[from + j] = sum[j];
  }
}

// Softmax of scores[0 .. seen) times scale; zero behind.
INLINE void softmax(float* scores, int64_t seen, int64_t padded, float scale) {
  float top = scores[0];
  for (int64_t j = 1; j < seen; ++j) top = scores[j] > top ? scores[j] : top;
  float lanes[16] = {};
  for (int64_t from = 0; from < padded; from += 16)
#pragma omp simd
    for (int j = 0; j < 16; ++j) {
      const float e = from + j < seen ? exponential((scores[from + j] - top) * scale) : 0.0f;
      scores[from + j] = e;
      lanes[j] += e;
    }
  float sum = 0;
  for (int j = 0; j < 16; ++j) sum += lanes[j];
  const float inverse = 1.0f / sum;
#pragma omp simd
  for (int64_t j = 0; j < padded; ++j) scores[j] *= inverse;
}

INLINE int64_t visible(const Layout& l, const Inputs& in, int64_t sentence, int64_t position) {
  int64_t seen = in.lengths[sentence];
  if (l.causal && position + 1 < seen) seen = position + 1;
  return std::max<int64_t>(1, std::min(seen, l.memoryTokens));
}

// Keys and values of one head of one sentence, biases added.
template <int W>
INLINE void loadHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t column, Space& space) {
  const int64_t w = W > 0 ? W : l.width;
  const float* memory = in.memory + (group * l.batch + sentence) * l.memoryTokens * l.memoryWidth + column;
  const float* bias = in.memoryBias + group * l.memoryWidth + column;
  load<W>(memory + l.key, l.memoryWidth, bias + l.key, l.memoryTokens, l.padded(), w, space.keys.data(), space.keyColumns.data());
  load<W>(memory + l.value, l.memoryWidth, bias + l.value, l.memoryTokens, l.padded(), w, space.values.data(), space.valueColumns.data());
}

// Leaves the query of one position, its bias added, and its weights over the memory in `space`; returns how many positions it sees.
template <int W>
INLINE int64_t attendFrom(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t position, int64_t column, float scale,
                          Space& space) {
  const int64_t w = W > 0 ? W : l.width, row = (group * l.batch + sentence) * l.tokens + position;
  const float* from = in.query + row * l.queryWidth + l.query + column;
  const float* bias = in.queryBias + group * l.queryWidth + l.query + column;
  for (int64_t c = 0; c < w; ++c) space.query[c] = from[c] + bias[c];
  const int64_t seen = visible(l, in, sentence, position);
  byColumns<W>(space.query.data(), space.keyColumns.data(), l.padded(), w, space.scores.data());
  softmax(space.scores.data(), seen, l.padded(), scale);
  return seen;
}

template <int W>
INLINE void forwardHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t head, Space& space, float* context) {
  const int64_t w = W > 0 ? W : l.width, column = head * w;
  const float scale = 1.0f / std::sqrt(static_cast<float>(w));
  loadHead<W>(l, in, group, sentence, column, space);
  const float *scores = space.scores.data(), *values = space.values.data();
  for (int64_t i = 0; i < l.tokens; ++i) {
    const int64_t row = (group * l.batch + sentence) * l.tokens + i;
    const int64_t seen = attendFrom<W>(l, in, group, sentence, i, column, scale, space);
    float* out = context + row * l.heads * w + column;
    if (W > 0) {
      float sum[W > 0 ? W : 1] = {};
      for (int64_t j = 0; j < seen; ++j)
#pragma omp simd
        for (int c = 0; c < W; ++c) sum[c] += scores[j] * values[j * W + c];
      for (int c = 0; c < W; ++c) out[c] = sum[c];
    } else {
      for (int64_t c = 0; c < w; ++c) out[c] = 0;
      for (int64_t j = 0; j < seen; ++j)
        for (int64_t c = 0; c < w; ++c) out[c] += scores[j] * values[j * w + c];
    }
  }
}

// The same for a sentence with one query position (decoding): every key and value is read once, where it lies.
template <int W>
INLINE void oneQueryHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t head, Space& space, float* context) {
  const int64_t w = W > 0 ? W : l.width, column = head * w, row = group * l.batch + sentence;
  const float scale = 1.0f / std::sqrt(static_cast<float>(w));
  const float* memory = in.memory + row * l.memoryTokens * l.memoryWidth;
  const float* memoryBias = in.memoryBias + group * l.memoryWidth;
  const float* from = in.query + row * l.queryWidth + l.query + column;
  const float* bias = in.queryBias + group * l.queryWidth + l.query + column;
  float *query = space.query.data(), *scores = space.scores.data();
  for (int64_t c = 0; c < w; ++c) query[c] = from[c] + bias[c];
  const int64_t seen = visible(l, in, sentence, 0);
  float shift = 0;
  for (int64_t c = 0; c < w; ++c) shift += query[c] * memoryBias[l.key + column + c];
  for (int64_t j = 0; j < seen; ++j) {
    const float* key = memory + j * l.memoryWidth + l.key + column;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < w; ++c) sum += query[c] * key[c];
    scores[j] = sum + shift;
  }
  softmax(scores, seen, l.padded(), scale);
  float* out = context + row * l.heads * w + column;
  for (int64_t c = 0; c < w; ++c) out[c] = memoryBias[l.value + column + c];
  for (int64_t j = 0; j < seen; ++j) {
    const float* value = memory + j * l.memoryWidth + l.value + column;
#pragma omp simd
    for (int64_t c = 0; c < w; ++c) out[c] += scores[j] * value[c];
  }
}

struct Gradients {
  float *query, *memory;
};

template <int W>
INLINE void backwardHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t head, Space& space,
                         const float* contextGradient, const Gradients& out) {
  const int64_t w = W > 0 ? W : l.width, padded = l.padded(), column = head * w;
  const float scale = 1.0f / std::sqrt(static_cast<float>(w));
  const int64_t first = (group * l.batch + sentence) * l.memoryTokens;
  loadHead<W>(l, in, group, sentence, column, space);
  std::fill(space.keyGradient.begin(), space.keyGradient.end(), 0.0f);
  std::fill(space.valueGradient.begin(), space.valueGradient.end(), 0.0f);
  const float *query = space.query.data(), *scores = space.scores.data(), *keys = space.keys.data();
  float *slopes = space.slopes.data(), *keyGradient = space.keyGradient.data(), *valueGradient = space.valueGradient.data();
  for (int64_t i = 0; i < l.tokens; ++i) {
    const int64_t row = (group * l.batch + sentence) * l.tokens + i;
    const int64_t seen = attendFrom<W>(l, in, group, sentence, i, column, scale, space);
    const float* slope = contextGradient + row * l.heads * w + column;
    byColumns<W>(slope, space.valueColumns.data(), padded, w, slopes);
    float lanes[16] = {};
    for (int64_t at = 0; at < padded; at += 16)
#pragma omp simd
      for (int j = 0; j < 16; ++j) lanes[j] += scores[at + j] * slopes[at + j];
    float mean = 0;
    for (int j = 0; j < 16; ++j) mean += lanes[j];
#pragma omp simd
    for (int64_t j = 0; j < padded; ++j) slopes[j] = scores[j] * (slopes[j] - mean) * scale;
    float* queryGradient = out.query + row * l.queryWidth + l.query + column;
    if (W > 0) {
      float sum[W > 0 ? W : 1] = {};
      for (int64_t j = 0; j < seen; ++j)
#pragma omp simd
        for (int c = 0; c < W; ++c) {
          sum[c] += slopes[j] * keys[j * W + c];
          keyGradient[j * W + c] += slopes[j] * query[c];
          valueGradient[j * W + c] += scores[j] * slope[c];
        }
      for (int c = 0; c < W; ++c) queryGradient[c] = sum[c];
    } else {
      for (int64_t c = 0; c < w; ++c) queryGradient[c] = 0;
      for (int64_t j = 0; j < seen; ++j)
        for (int64_t c = 0; c < w; ++c) {
          queryGradient[c] += slopes[j] * keys[j * w + c];
          keyGradient[j * w + c] += slopes[j] * query[c];
          valueGradient[j * w + c] += scores[j] * slope[c];
        }
    }
  }
  float* to = (l.packed ? out.query : out.memory) + first * l.memoryWidth;
  for (int64_t j = 0; j < l.memoryTokens; ++j)
    for (int64_t c = 0; c < w; ++c) {
      to[j * l.memoryWidth + l.key + column + c] = keyGradient[j * w + c];
      to[j * l.memoryWidth + l.value + column + c] = valueGradient[j * w + c];
    }
}

#define FOR_WIDTH(call)            \
  switch (l.width) {               \
    case 8: { call(8); break; }    \
    case 16: { call(16); break; }  \
    case 32: { call(32); break; }  \
    case 64: { call(64); break; }  \
    default: { call(0); break; }   \
  }

CLONES void forwardSentence(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, Space& space, float* context) {
#define FORWARD(W) \
  for (int64_t h = 0; h < l.heads; ++h) forwardHead<W>(l, in, group, sentence, h, space, context)
#define ONE_QUERY(W) \
  for (int64_t h = 0; h < l.heads; ++h) oneQueryHead<W>(l, in, group, sentence, h, space, context)
  if (l.tokens == 1) {
    FOR_WIDTH(ONE_QUERY)
  } else {
    FOR_WIDTH(FORWARD)
  }
}

// Column sums of [rows, width] into out.
INLINE void columnSums(const float* x, int64_t rows, int64_t width, float* out) {
  for (int64_t c = 0; c < width; ++c) out[c] = 0;
  for (int64_t i = 0; i < rows; ++i)
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) out[c] += x[i * width + c];
}

CLONES void backwardSentence(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, Space& space,
                             const float* contextGradient, const Gradients& out, float* queryPart, float* memoryPart) {
#define BACKWARD(W) \
  for (int64_t h = 0; h < l.heads; ++h) backwardHead<W>(l, in, group, sentence, h, space, contextGradient, out)
  FOR_WIDTH(BACKWARD)
  const int64_t at = group * l.batch + sentence;
  columnSums(out.query + at * l.tokens * l.queryWidth, l.tokens, l.queryWidth, queryPart);
  if (!l.packed) columnSums(out.memory + at * l.memoryTokens * l.memoryWidth, l.memoryTokens, l.memoryWidth, memoryPart);
}

// False, and the reason told, when shapes and layout do not fit together.
bool readLayout(Call& call, Layout& l, Inputs& in) {
  const int32_t* layout = call.integers(5);
  const bool sized = call.rank(0) == 3 && call.rank(1) == 3 && call.size(5) == 10;
  if (sized)
    l = Layout{call.dim(0, 0), layout[0], layout[1],       layout[2], layout[3], layout[4],
               call.dim(0, 2), call.dim(1, 2), layout[5] != 0, layout[9] != 0, layout[6], layout[7], layout[8]};
  const int64_t inner = sized ? l.heads * l.width : 0;
  const bool fits = sized && l.width > 0 && l.heads > 0 && l.tokens > 0 && l.memoryTokens > 0 && l.query >= 0 && l.key >= 0 && l.value >= 0 &&
                    call.is(0, {l.groups, l.batch * l.tokens, l.queryWidth}) &&
                    call.is(1, {l.groups, l.batch * l.memoryTokens, l.memoryWidth}) && call.is(2, {l.groups, l.queryWidth}) &&
                    call.is(3, {l.groups, l.memoryWidth}) && call.is(4, {l.batch}) && l.query + inner <= l.queryWidth &&
                    l.key + inner <= l.memoryWidth && l.value + inner <= l.memoryWidth;
  if (!fits) {
    call.refuse("SemdistillAttention: shapes do not match");
    return false;
  }
  in = Inputs{call.floats(0), call.floats(1), call.floats(2), call.floats(3), call.integers(4)};
  return true;
}

void forward(void*, TF_OpKernelContext* context) {
  Call call(context);
  Layout l;
  Inputs in;
  if (!readLayout(call, l, in)) return;
  float* out = call.output(0, {l.groups, l.batch * l.tokens, l.heads * l.width});
  if (out == nullptr) return;
#pragma omp parallel
  {
    Space space(l);
#pragma omp for schedule(static) collapse(2)
    for (int64_t g = 0; g < l.groups; ++g)
      for (int64_t b = 0; b < l.batch; ++b) forwardSentence(l, in, g, b, space, out);
  }
}

void backward(void*, TF_OpKernelContext* context) {
  Call call(context);
  Layout l;
  Inputs in;
  if (!readLayout(call, l, in)) return;
  const int64_t inner = l.heads * l.width;
  if (!call.is(6, {l.groups, l.batch * l.tokens, inner})) return call.refuse("SemdistillAttentionGrad: d_context has another shape");
  if (l.queryWidth != (l.packed ? 3 : 1) * inner || l.memoryWidth != (l.packed ? 3 : 2) * inner)
    return call.refuse("SemdistillAttentionGrad: columns that are neither query, key nor value");
  const int64_t memoryWidth = l.packed ? 0 : l.memoryWidth;
  float* query = call.output(0, {l.groups, l.batch * l.tokens, l.queryWidth});
  float* memory = query ? call.output(1, {l.groups, l.batch * l.memoryTokens, memoryWidth}) : nullptr;
  float* queryBias = query ? call.output(2, {l.groups, l.queryWidth}) : nullptr;
  float* memoryBias = queryBias ? call.output(3, {l.groups, memoryWidth}) : nullptr;
  if (queryBias == nullptr || (memoryWidth > 0 && (memory == nullptr || memoryBias == nullptr))) return;
  std::vector<float> queryParts(l.groups * l.batch * l.queryWidth), memoryParts(l.groups * l.batch * memoryWidth + 1);
  const Gradients out{query, memory};
#pragma omp parallel
  {
    Space space(l);
#pragma omp for schedule(static) collapse(2)
    for (int64_t g = 0; g < l.groups; ++g)
      for (int64_t b = 0; b < l.batch; ++b) {
        const int64_t at = g * l.batch + b;
        backwardSentence(l, in, g, b, space, call.floats(6), out, queryParts.data() + at * l.queryWidth,
                         memoryParts.data() + at * memoryWidth);
      }
  }
  for (int64_t g = 0; g < l.groups; ++g) {
    addParts(queryParts.data() + g * l.batch * l.queryWidth, l.batch, l.queryWidth, queryBias + g * l.queryWidth);
    if (memoryWidth > 0)
      addParts(memoryParts.data() + g * l.batch * memoryWidth, l.batch, memoryWidth, memoryBias + g * memoryWidth);
  }
}

}  // namespace

bool registerAttention(TF_Status* status) {
  return registerOperation("SemdistillAttention",
                           {"query: float", "memory: float", "query_bias: float", "memory_bias: float", "lengths: int32", "layout: int32"},
                           {"context: float"}, &forward, status) &&
         registerOperation("SemdistillAttentionGrad",
                           {"query: float", "memory: float", "query_bias: float", "memory_bias: float", "lengths: int32", "layout: int32",
                            "context_gradient: float"},
                           {"query_gradient: float", "memory_gradient: float", "query_bias_gradient: float", "memory_bias_gradient: float"},
                           &backward, status);
}

}  // namespace semdistill
