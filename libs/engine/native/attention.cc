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

constexpr int kQueries = 4;  // query positions at a time: as many independent sums, and each key and value read once for all
constexpr int kLanes = 16;

using Lanes = float __attribute__((vector_size(4 * kLanes)));

// Work space of one thread: keys and values of a head with their biases, by row [tokens, w] or by column [w, padded]; for each query
// its weights over the memory, the slopes of its scores, and its row of q and of the context's gradient.
struct Space {
  std::vector<float> keys, keyColumns, values, valueColumns, scores, slopes, keyGradient, valueGradient, query, contextGradient;
  explicit Space(const Layout& l)
      : keys(l.width * l.padded()), keyColumns(l.width * l.padded()), values(l.width * l.padded()), valueColumns(l.width * l.padded()),
        scores(kQueries * l.padded()), slopes(kQueries * l.padded()), keyGradient(l.width * l.padded()),
        valueGradient(l.width * l.padded()), query(kQueries * l.width), contextGradient(kQueries * l.width) {}
};

using Quad = float __attribute__((vector_size(16)));
using QuadIndex = int32_t __attribute__((vector_size(16)));

// out = x + bias, one row of a head.
template <int W>
INLINE void addBias(const float* x, const float* bias, int64_t width, float* out) {
  for (int64_t c = 0; c < W; c += 4) {
    Quad row, offset;
    std::memcpy(&row, x + c, sizeof(row));
    std::memcpy(&offset, bias + c, sizeof(offset));
    row += offset;
    std::memcpy(out + c, &row, sizeof(row));
  }
  for (int64_t c = W; c < width; ++c) out[c] = x[c] + bias[c];
}

// Rows of one head, its bias added.
template <int W>
INLINE void loadRows(const float* from, int64_t stride, const float* bias, int64_t tokens, int64_t width, float* rows) {
  for (int64_t j = 0; j < tokens; ++j) addBias<W>(from + j * stride, bias, width, rows + j * width);
}


// The same by column; padding is zero. Four rows and columns at a time are turned over in registers.
template <int W>
INLINE void loadColumns(const float* from, int64_t stride, const float* bias, int64_t tokens, int64_t padded, int64_t width, float* columns) {
  const int64_t w = W > 0 ? W : width, quads = W;
  for (int64_t j = 0; j < padded; j += 4)
    for (int64_t c = 0; c < quads; c += 4) {
      Quad rows[4] = {}, offset;
      std::memcpy(&offset, bias + c, sizeof(offset));
      for (int64_t i = 0; i < 4 && j + i < tokens; ++i) {
        std::memcpy(&rows[i], from + (j + i) * stride + c, sizeof(Quad));
        rows[i] += offset;
      }
      const QuadIndex low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5}, second = {2, 3, 6, 7};
      const Quad a = __builtin_shuffle(rows[0], rows[1], low), b = __builtin_shuffle(rows[2], rows[3], low),
                 d = __builtin_shuffle(rows[0], rows[1], high), e = __builtin_shuffle(rows[2], rows[3], high);
      const Quad turned[4] = {__builtin_shuffle(a, b, first), __builtin_shuffle(a, b, second), __builtin_shuffle(d, e, first),
                              __builtin_shuffle(d, e, second)};
      for (int64_t i = 0; i < 4; ++i) std::memcpy(columns + (c + i) * padded + j, &turned[i], sizeof(Quad));
    }
  for (int64_t c = quads; c < w; ++c)
    for (int64_t j = 0; j < padded; ++j) columns[c * padded + j] = j < tokens ? from[j * stride + c] + bias[c] : 0.0f;
}

// out[r][j] = sum over c of x[r][c] columns[c][j] for j < limit, a multiple of the lanes.
template <int W>
INLINE void byColumns(const float* x, const float* columns, int64_t padded, int64_t limit, int64_t width, float* out) {
  const int64_t w = W > 0 ? W : width;
  for (int64_t from = 0; from < limit; from += kLanes) {
    Lanes sums[kQueries] = {};
    for (int64_t c = 0; c < w; ++c) {
      Lanes column;
      std::memcpy(&column, columns + c * padded + from, sizeof(column));
      for (int r = 0; r < kQueries; ++r) sums[r] += x[r * w + c] * column;
    }
    for (int r = 0; r < kQueries; ++r) std::memcpy(out + r * padded + from, &sums[r], sizeof(Lanes));
  }
}

INLINE float sumOfLanes(const float* lanes) {
  float half[8], quarter[4];
  for (int j = 0; j < 8; ++j) half[j] = lanes[j] + lanes[j + 8];
  for (int j = 0; j < 4; ++j) quarter[j] = half[j] + half[j + 4];
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

// Softmax of scores[0 .. seen) times scale; zero behind, up to limit.
INLINE void softmax(float* scores, int64_t seen, int64_t limit, float scale) {
  float top = scores[0];
#pragma omp simd reduction(max : top)
  for (int64_t j = 1; j < seen; ++j) top = scores[j] > top ? scores[j] : top;
  float lanes[kLanes] = {};
  for (int64_t from = 0; from < limit; from += kLanes)
#pragma omp simd
    for (int j = 0; j < kLanes; ++j) {
      const float e = from + j < seen ? exponential((scores[from + j] - top) * scale) : 0.0f;
      scores[from + j] = e;
      lanes[j] += e;
    }
  const float inverse = 1.0f / sumOfLanes(lanes);
#pragma omp simd
  for (int64_t j = 0; j < limit; ++j) scores[j] *= inverse;
}

INLINE int64_t visible(const Layout& l, const Inputs& in, int64_t sentence, int64_t position) {
  int64_t seen = in.lengths[sentence];
  if (l.causal && position + 1 < seen) seen = position + 1;
  return std::max<int64_t>(1, std::min(seen, l.memoryTokens));
}

// One head of one sentence: where its keys and values, its queries and their biases lie.
struct Head {
  const float *key, *value, *keyBias, *valueBias, *query, *queryBias;
  int64_t firstRow, column;
};

INLINE Head headOf(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t column) {
  const int64_t at = group * l.batch + sentence, row = at * l.tokens;
  const float* memory = in.memory + at * l.memoryTokens * l.memoryWidth + column;
  const float* memoryBias = in.memoryBias + group * l.memoryWidth + column;
  return Head{memory + l.key, memory + l.value, memoryBias + l.key, memoryBias + l.value, in.query + row * l.queryWidth + l.query + column,
              in.queryBias + group * l.queryWidth + l.query + column, row, column};
}

// A few queries from `position` on: leaves their q, biases added, and their weights over the memory in `space`, zero for those behind
// the last. Returns up to which position the weights are made: a multiple of the lanes.
template <int W>
INLINE int64_t attendFrom(const Layout& l, const Inputs& in, const Head& head, int64_t sentence, int64_t position, int64_t queries, float scale,
                          Space& space) {
  const int64_t w = W > 0 ? W : l.width;
  float *query = space.query.data(), *scores = space.scores.data();
  loadRows<W>(head.query + position * l.queryWidth, l.queryWidth, head.queryBias, queries, w, query);
  std::fill(query + queries * w, query + kQueries * w, 0.0f);
  const int64_t limit = (visible(l, in, sentence, position + queries - 1) + kLanes - 1) / kLanes * kLanes;
  byColumns<W>(query, space.keyColumns.data(), l.padded(), limit, w, scores);
  for (int64_t r = 0; r < kQueries; ++r) {
    if (r < queries)
      softmax(scores + r * l.padded(), visible(l, in, sentence, position + r), limit, scale);
    else
      std::fill(scores + r * l.padded(), scores + r * l.padded() + limit, 0.0f);
  }
  return limit;
}

// out[r] = sum over j of weights[r][j] rows[j], for the queries there are; out's rows lie `stride` apart.
template <int W>
INLINE void byRows(const float* weights, const float* rows, int64_t padded, int64_t seen, int64_t width, int64_t queries, float* out,
                   int64_t stride) {
  if (W > 0) {
    float sums[kQueries][W > 0 ? W : 1] = {};
    for (int64_t j = 0; j < seen; ++j)
      for (int r = 0; r < kQueries; ++r)
#pragma omp simd
        for (int c = 0; c < W; ++c) sums[r][c] += weights[r * padded + j] * rows[j * W + c];
    for (int64_t r = 0; r < queries; ++r)
      for (int c = 0; c < W; ++c) out[r * stride + c] = sums[r][c];
  } else {
    for (int64_t r = 0; r < queries; ++r) {
      for (int64_t c = 0; c < width; ++c) out[r * stride + c] = 0;
      for (int64_t j = 0; j < seen; ++j)
        for (int64_t c = 0; c < width; ++c) out[r * stride + c] += weights[r * padded + j] * rows[j * width + c];
    }
  }
}

template <int W>
INLINE void forwardHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t number, Space& space, float* context) {
  const int64_t w = W > 0 ? W : l.width, padded = l.padded(), inner = l.heads * w;
  const float scale = 1.0f / std::sqrt(static_cast<float>(w));
  const Head head = headOf(l, in, group, sentence, number * w);
  loadColumns<W>(head.key, l.memoryWidth, head.keyBias, l.memoryTokens, padded, w, space.keyColumns.data());
  loadRows<W>(head.value, l.memoryWidth, head.valueBias, l.memoryTokens, w, space.values.data());
  for (int64_t i = 0; i < l.tokens; i += kQueries) {
    const int64_t queries = std::min<int64_t>(kQueries, l.tokens - i);
    attendFrom<W>(l, in, head, sentence, i, queries, scale, space);
    const int64_t seen = visible(l, in, sentence, i + queries - 1);
    byRows<W>(space.scores.data(), space.values.data(), padded, seen, w, queries, context + (head.firstRow + i) * inner + head.column, inner);
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
  softmax(scores, seen, (seen + kLanes - 1) / kLanes * kLanes, scale);
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

// gradient[j] += sum over r of weights[r][j] rows[r].
template <int W>
INLINE void addOuter(const float* weights, const float* rows, int64_t padded, int64_t seen, int64_t width, float* gradient) {
  const int64_t w = W > 0 ? W : width;
  for (int64_t j = 0; j < seen; ++j)
#pragma omp simd
    for (int64_t c = 0; c < w; ++c) {
      float sum = gradient[j * w + c];
      for (int r = 0; r < kQueries; ++r) sum += weights[r * padded + j] * rows[r * w + c];
      gradient[j * w + c] = sum;
    }
}

// slopes = scale weights (slopes - their mean under the weights): the softmax's gradient, in place.
INLINE void throughSoftmax(const float* weights, int64_t limit, float scale, float* slopes) {
  float lanes[kLanes] = {};
  for (int64_t at = 0; at < limit; at += kLanes)
#pragma omp simd
    for (int j = 0; j < kLanes; ++j) lanes[j] += weights[at + j] * slopes[at + j];
  const float mean = sumOfLanes(lanes);
#pragma omp simd
  for (int64_t j = 0; j < limit; ++j) slopes[j] = weights[j] * (slopes[j] - mean) * scale;
}

template <int W>
INLINE void backwardHead(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t number, Space& space,
                         const float* contextGradient, const Gradients& out) {
  const int64_t w = W > 0 ? W : l.width, padded = l.padded(), inner = l.heads * w;
  const float scale = 1.0f / std::sqrt(static_cast<float>(w));
  const Head head = headOf(l, in, group, sentence, number * w);
  loadColumns<W>(head.key, l.memoryWidth, head.keyBias, l.memoryTokens, padded, w, space.keyColumns.data());
  loadRows<W>(head.key, l.memoryWidth, head.keyBias, l.memoryTokens, w, space.keys.data());
  loadColumns<W>(head.value, l.memoryWidth, head.valueBias, l.memoryTokens, padded, w, space.valueColumns.data());
  float *slopes = space.slopes.data(), *slope = space.contextGradient.data();
  float *keyGradient = space.keyGradient.data(), *valueGradient = space.valueGradient.data();
  std::fill(keyGradient, keyGradient + l.memoryTokens * w, 0.0f);
  std::fill(valueGradient, valueGradient + l.memoryTokens * w, 0.0f);
  for (int64_t i = 0; i < l.tokens; i += kQueries) {
    const int64_t queries = std::min<int64_t>(kQueries, l.tokens - i), row = head.firstRow + i;
    const int64_t limit = attendFrom<W>(l, in, head, sentence, i, queries, scale, space);
    const int64_t seen = visible(l, in, sentence, i + queries - 1);
    for (int64_t r = 0; r < queries; ++r) std::memcpy(slope + r * w, contextGradient + (row + r) * inner + head.column, sizeof(float) * w);
    std::fill(slope + queries * w, slope + kQueries * w, 0.0f);
    byColumns<W>(slope, space.valueColumns.data(), padded, limit, w, slopes);
    for (int r = 0; r < kQueries; ++r) throughSoftmax(space.scores.data() + r * padded, limit, scale, slopes + r * padded);
    byRows<W>(slopes, space.keys.data(), padded, seen, w, queries, out.query + row * l.queryWidth + l.query + head.column, l.queryWidth);
    addOuter<W>(slopes, space.query.data(), padded, seen, w, keyGradient);
    addOuter<W>(space.scores.data(), slope, padded, seen, w, valueGradient);
  }
  float* to = (l.packed ? out.query : out.memory) + (group * l.batch + sentence) * l.memoryTokens * l.memoryWidth + head.column;
  for (int64_t j = 0; j < l.memoryTokens; ++j)
#pragma omp simd
    for (int64_t c = 0; c < w; ++c) {
      to[j * l.memoryWidth + l.key + c] = keyGradient[j * w + c];
      to[j * l.memoryWidth + l.value + c] = valueGradient[j * w + c];
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

// Asks for a share of the rows that the next sentence will read, while this one is worked on: heads walk over them in strides that no
// hardware foresees.
INLINE void prefetchShare(const float* rows, int64_t floats, int64_t share, int64_t shares) {
  for (int64_t at = share * floats / shares; at < (share + 1) * floats / shares; at += 16) __builtin_prefetch(rows + at, 0, 2);
}

INLINE void prefetchNext(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, int64_t head) {
  const int64_t next = group * l.batch + sentence + 1, queries = l.tokens * l.queryWidth, memory = l.memoryTokens * l.memoryWidth;
  prefetchShare(in.query + next * queries, queries, head, l.heads);
  if (!l.packed) prefetchShare(in.memory + next * memory, memory, head, l.heads);
}

CLONES void forwardSentence(const Layout& l, const Inputs& in, int64_t group, int64_t sentence, Space& space, float* context) {
#define FORWARD(W) \
  for (int64_t h = 0; h < l.heads; ++h) {         \
    prefetchNext(l, in, group, sentence, h);      \
    forwardHead<W>(l, in, group, sentence, h, space, context); \
  }
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
  for (int64_t h = 0; h < l.heads; ++h) { \
    prefetchNext(l, in, group, sentence, h); \
    prefetchShare(contextGradient + ((group * l.batch + sentence + 1) * l.tokens) * l.heads * l.width, l.tokens * l.heads * l.width, h, l.heads); \
    backwardHead<W>(l, in, group, sentence, h, space, contextGradient, out); \
  }
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
