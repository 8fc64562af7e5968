// The distillation loss of one student's rows as one TensorFlow op, in two passes over each row where a dozen would go over
// [rows, vocabulary].
//
//   SemdistillLoss(student [n,V], student_bias [V], teacher [n,V] or [0,V], teacher_bias [V], labels [n], weights [3] = (T, soft, hard))
//     -> grad [n,V], sums [2], bias_grad [V]
//   s = student + student_bias, t = teacher + teacher_bias
//   grad = soft T (softmax(s/T) - softmax(t/T)) + hard (softmax(s) - onehot(label)), bias_grad = grad summed over rows
//   sums = (sum of T^2 KL(softmax(t/T) || softmax(s/T)), sum of cross-entropy), nats
//   label >= 0: both terms; -1: the row counts for nothing; -2: soft term only. A teacher of no rows: no soft term anywhere.
//
// `grad` takes the memory of `student`, whose logits are gone afterwards: at V = 22,234 a batch's logits are 240 MB, and what is
// not written anew need not be read first. The caller must own them alone.
//
// Rows are independent and summed in blocks in a fixed order, so the result does not depend on the number of threads. NaN in, NaN out.
#include "softmax.h"

namespace semdistill {
namespace {

// What one pass over a row finds: sums of e^((s - top) / T), of e^(s - top), of the teacher's e^((t - top) / T), and of
// the last times (t - s), tops taken off.
struct Sums {
  double soft = 0, hard = 0, teacher = 0, gap = 0;
};

constexpr int kSeparate = -1;

// A softened distribution's side of a row: logits, bias, the largest of their sum.
struct Side {
  const float *logits, *bias;
  float top;
};

// x^(2^squarings): for T = 1, 2, 4, 8, 16 it makes e^s of e^(s/T), a few products instead of an exponential, at most 16 ulp from it.
template <int squarings>
INLINE float raised(float x) {
  for (int i = 0; i < squarings; ++i) x *= x;
  return x;
}

// One pass over a row, a block at a time so that it stays in the first cache. Leaves e^((s - top) / T) in `x` itself and the teacher's
// in `et`; with kSeparate e^(s - top) goes to `e1`, else it is the former raised.
template <int squarings>
INLINE Sums exponentialsOf(float* x, const Side& student, const Side& teacher, float rate, int size, float* et, float* e1) {
  Sums sums;
  const float *bias = student.bias, *logits = teacher.logits, *theirBias = teacher.bias;
  const float top = student.top, theirTop = teacher.top;
  for (int from = 0; from < size; from += kBlock) {
    const int to = from + kBlock < size ? from + kBlock : size;
    float soft = 0, hard = 0, ofTeacher = 0, gap = 0;
#pragma omp simd reduction(+ : soft, hard, ofTeacher, gap)
    for (int v = from; v < to; ++v) {
      const float s = (x[v] + bias[v]) - top, t = (logits[v] + theirBias[v]) - theirTop;
      const float es = exponential(s * rate), e = exponential(t * rate);
      x[v] = es;
      et[v] = e;
      soft += es;
      ofTeacher += e;
      gap += e * (t - s);
      if (squarings == kSeparate) {
        e1[v] = exponential(s);
        hard += e1[v];
      } else {
        hard += raised<squarings>(es);
      }
    }
    sums.soft += soft, sums.hard += hard, sums.teacher += ofTeacher, sums.gap += gap;
  }
  return sums;
}

// x = cs soft - ct teacher + ch hard in place of soft, added to sum as well.
template <int squarings>
INLINE void combineOf(float* x, const float* et, const float* e1, float cs, float ct, float ch, int size, float* sum) {
#pragma omp simd
  for (int v = 0; v < size; ++v) {
    const float hard = squarings == kSeparate ? e1[v] : raised<squarings>(x[v]);
    const float g = cs * x[v] - ct * et[v] + ch * hard;
    x[v] = g;
    sum[v] += g;
  }
}

CLONES Sums exponentialsOfRow(float* x, const Side& student, const Side& teacher, float rate, int squarings, int size, float* et, float* e1) {
  switch (squarings) {
    case 0: return exponentialsOf<0>(x, student, teacher, rate, size, et, e1);
    case 1: return exponentialsOf<1>(x, student, teacher, rate, size, et, e1);
    case 2: return exponentialsOf<2>(x, student, teacher, rate, size, et, e1);
    case 3: return exponentialsOf<3>(x, student, teacher, rate, size, et, e1);
    case 4: return exponentialsOf<4>(x, student, teacher, rate, size, et, e1);
    default: return exponentialsOf<kSeparate>(x, student, teacher, rate, size, et, e1);
  }
}

CLONES void combine(float* x, const float* et, const float* e1, int squarings, float cs, float ct, float ch, int size, float* sum) {
  switch (squarings) {
    case 0: return combineOf<0>(x, et, e1, cs, ct, ch, size, sum);
    case 1: return combineOf<1>(x, et, e1, cs, ct, ch, size, sum);
    case 2: return combineOf<2>(x, et, e1, cs, ct, ch, size, sum);
    case 3: return combineOf<3>(x, et, e1, cs, ct, ch, size, sum);
    case 4: return combineOf<4>(x, et, e1, cs, ct, ch, size, sum);
    default: return combineOf<kSeparate>(x, et, e1, cs, ct, ch, size, sum);
  }
}

// How often e^(s/T) is squared to be e^s; kSeparate where T is no such power of two.
int squaringsFor(float T) {
  for (int n = 0; n <= 4; ++n)
    if (T == static_cast<float>(1 << n)) return n;
  return kSeparate;
}

// A row without a teacher: its exponentials become its gradient, which is added to sum as well.
CLONES void scaleAlone(float* x, float ch, int size, float* sum) {
#pragma omp simd
  for (int v = 0; v < size; ++v) {
    const float g = ch * x[v];
    x[v] = g;
    sum[v] += g;
  }
}

struct Weights {
  float temperature, soft, hard;
};

struct Row {
  double soft = 0, hard = 0;
};

// One row: its logits x become its gradient, which is added to biasGradient as well. `et` and `e1` have room for a row.
Row lossOfRow(float* x, const float* bias, const float* teacher, const float* teacherBias, int label, int size, const Weights& weights,
              float* et, float* e1, float* biasGradient) {
  Row row;
  const float T = weights.temperature, hard = label >= 0 ? weights.hard : 0.0f;
  float ofLabel = label >= 0 ? x[label] + bias[label] : 0.0f;
  double sum1;
  if (teacher == nullptr) {
    const float top = biased(x, bias, size, x);
    ofLabel -= top;
    sum1 = exponentials(x, size, top, 1.0f, x);
    scaleAlone(x, static_cast<float>(hard / sum1), size, biasGradient);
  } else {
    const int squarings = squaringsFor(T);
    const Side student{x, bias, largest(x, bias, size)}, other{teacher, teacherBias, largest(teacher, teacherBias, size)};
    ofLabel -= student.top;
    const Sums sums = exponentialsOfRow(x, student, other, 1.0f / T, squarings, size, et, e1);
    sum1 = sums.hard;
    row.soft = static_cast<double>(T) * T * (sums.gap / (T * sums.teacher) + std::log(sums.soft) - std::log(sums.teacher));
    const float soft = weights.soft * T;
    combine(x, et, e1, squarings, static_cast<float>(soft / sums.soft), static_cast<float>(soft / sums.teacher), static_cast<float>(hard / sum1),
            size, biasGradient);
  }
  if (label >= 0) {
    x[label] -= weights.hard;
    biasGradient[label] -= weights.hard;
    row.hard = std::log(sum1) - ofLabel;
  }
  return row;
}

constexpr int64_t kRows = 32;  // rows a block

void compute(void*, TF_OpKernelContext* context) {
  Call call(context);
  if (call.rank(0) != 2 || call.rank(2) != 2) return call.refuse("SemdistillLoss: shapes do not match");
  const int64_t rows = call.dim(0, 0), size = call.dim(0, 1), blocks = (rows + kRows - 1) / kRows;
  const bool taught = call.dim(2, 0) > 0;
  const bool fits = size > 0 && call.size(1) == size && (!taught || call.is(2, {rows, size})) && call.size(3) == size &&
                    call.size(4) == rows && call.size(5) == 3;
  if (!fits) return call.refuse("SemdistillLoss: shapes do not match");
  const int32_t* labels = call.integers(4);
  for (int64_t i = 0; i < rows; ++i)
    if (labels[i] < -2 || labels[i] >= size) return call.refuse("SemdistillLoss: a label lies outside the vocabulary");
  float *grad = call.inPlace(0, 0), *sums = grad ? call.output(1, {2}) : nullptr, *biasGrad = sums ? call.output(2, {size}) : nullptr;
  if (biasGrad == nullptr) return;
  const Weights weights{call.floats(5)[0], call.floats(5)[1], call.floats(5)[2]};
  std::vector<Row> parts(rows);
  std::vector<float> biasParts(blocks * size);
#pragma omp parallel
  {
    std::vector<float> et(size), e1(size);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t i = block * kRows; i < std::min(rows, (block + 1) * kRows); ++i) {
        float* x = grad + i * size;
        if (labels[i] == -1)
          std::memset(x, 0, sizeof(float) * size);
        else
          parts[i] = lossOfRow(x, call.floats(1), taught ? call.floats(2) + i * size : nullptr, call.floats(3), labels[i],
                               static_cast<int>(size), weights, et.data(), e1.data(), biasParts.data() + block * size);
      }
  }
  double soft = 0, hard = 0;
  for (const Row& row : parts) soft += row.soft, hard += row.hard;
  sums[0] = static_cast<float>(soft);
  sums[1] = static_cast<float>(hard);
  addParts(biasParts.data(), blocks, size, biasGrad);
}

}  // namespace

bool registerLoss(TF_Status* status) {
  return registerOperation(
      "SemdistillLoss",
      {"student: float", "student_bias: float", "teacher: float", "teacher_bias: float", "labels: int32", "weights: float"},
      {"grad: float", "sums: float", "bias_grad: float"}, &compute, status);
}

}  // namespace semdistill
