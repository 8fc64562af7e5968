// The distillation loss of a chunk of rows as one TensorFlow op.
// One pass a row in the cache instead of a dozen passes over [rows, vocabulary] through memory.
//
//   SemdistillLoss(student [K,n,V], student_bias [K or 1,V], teacher [n,V], teacher_bias [V], labels [n], temperature [K],
//                  soft_weight [K], hard_weight [K]) -> grad [K,n,V], sums [K,2], bias_grad [K,V]
//   s = student + student_bias, t = teacher + teacher_bias
//   grad = soft T (softmax(s/T) - softmax(t/T)) + hard (softmax(s) - onehot(label)), bias_grad = grad summed over rows
//   sums = (sum of T^2 KL(softmax(t/T) || softmax(s/T)), sum of cross-entropy), nats
//   label >= 0: both terms; -1: the row counts for nothing; -2: soft term only.
//
// Rows are independent and summed in blocks in a fixed order, so the result does not depend on the number of threads. NaN in, NaN out.
#include "softmax.h"

namespace semdistill {
namespace {

// What one pass over a student's row finds: sums of e^((s - top) / T) and of e^(s - top), and of et (t - s), tops taken off.
struct Sums {
  double soft = 0, hard = 0, gap = 0;
};

// One pass over a row, a block at a time so that it stays in the first cache: es = e^((s - top) rate), e1 = e^(s - top) and the sums.
// For a whole T up to 16, e1 is es multiplied T times: a few products instead of an exponential, at most 16 ulp from it.
// e1 may be null where no hard term is wanted.
CLONES Sums studentExponentials(const float* s, const float* t, const float* et, int size, float top, float teacherTop, float rate, int power,
                                float* es, float* e1) {
  Sums sums;
  for (int from = 0; from < size; from += kBlock) {
    const int to = from + kBlock < size ? from + kBlock : size;
    float soft = 0, gap = 0, hard = 0;
#pragma omp simd reduction(+ : soft, gap)
    for (int v = from; v < to; ++v) {
      const float x = s[v] - top, e = exponential(x * rate);
      es[v] = e;
      soft += e;
      gap += et[v] * ((t[v] - teacherTop) - x);
    }
    sums.soft += soft;
    sums.gap += gap;
    if (e1 == nullptr) continue;
    if (power > 1) {
      int bit = 1;
      while (2 * bit <= power) bit *= 2;
#pragma omp simd
      for (int v = from; v < to; ++v) e1[v] = es[v];
      for (bit /= 2; bit > 0; bit /= 2) {
        if (power & bit)
#pragma omp simd
          for (int v = from; v < to; ++v) e1[v] *= e1[v] * es[v];
        else
#pragma omp simd
          for (int v = from; v < to; ++v) e1[v] *= e1[v];
      }
    } else {
#pragma omp simd
      for (int v = from; v < to; ++v) e1[v] = exponential(s[v] - top);
    }
#pragma omp simd reduction(+ : hard)
    for (int v = from; v < to; ++v) hard += e1[v];
    sums.hard += hard;
  }
  return sums;
}

// g = cs soft - ct teacher + ch hard, added to sum as well.
CLONES void combine(float* g, const float* soft, const float* teacher, const float* hard, float cs, float ct, float ch, int size, float* sum) {
#pragma omp simd
  for (int v = 0; v < size; ++v) {
    const float x = cs * soft[v] - ct * teacher[v] + ch * hard[v];
    g[v] = x;
    sum[v] += x;
  }
}

struct Row {
  double soft = 0, hard = 0;
};

// What one thread works with: the row's logits with their biases, and their exponentials.
struct Work {
  std::vector<float> teacher, student, teacherSoft, studentSoft, studentHard;
  float teacherTop = 0, teacherRate = 0;
  double teacherSum = 0;
  explicit Work(int64_t size) : teacher(size), student(size), teacherSoft(size), studentSoft(size), studentHard(size) {}
};

struct Student {
  float temperature, softWeight, hardWeight;
};

// One row of one student; the teacher's row is in `work` already. Adds its gradient to biasGradient.
Row lossOfRow(const float* logits, const float* bias, int label, int size, const Student& student, Work& work, float* g, float* biasGradient) {
  Row row;
  float *s = work.student.data(), *es = work.studentSoft.data(), *e1 = work.studentHard.data(), *et = work.teacherSoft.data();
  const float top = biased(logits, bias, size, s), rate = 1.0f / student.temperature;
  const bool needsHard = label >= 0;
  if (work.teacherRate != rate) {
    work.teacherSum = exponentials(work.teacher.data(), size, work.teacherTop, rate, et);
    work.teacherRate = rate;
  }
  const float whole = std::nearbyint(student.temperature);
  const int power = whole == student.temperature && whole >= 1 && whole <= 16 ? static_cast<int>(whole) : 0;
  const bool same = power == 1 || !needsHard;
  Sums sums = studentExponentials(s, work.teacher.data(), et, size, top, work.teacherTop, rate, power, es, same ? nullptr : e1);
  if (same) e1 = es, sums.hard = sums.soft;
  const double sumT = work.teacherSum, sumS = sums.soft, sum1 = sums.hard;
  const double kl = rate * sums.gap / sumT + std::log(sumS) - std::log(sumT);
  row.soft = static_cast<double>(student.temperature) * student.temperature * kl;
  const float hard = needsHard ? student.hardWeight : 0.0f, soft = student.softWeight * student.temperature;
  combine(g, es, et, e1, static_cast<float>(soft / sumS), static_cast<float>(soft / sumT), static_cast<float>(hard / sum1), size, biasGradient);
  if (needsHard) {
    g[label] -= student.hardWeight;
    biasGradient[label] -= student.hardWeight;
    row.hard = std::log(sum1) - (s[label] - top);
  }
  return row;
}

constexpr int64_t kRows = 32;  // rows a block

void compute(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), size = call.dim(0, 2), blocks = (rows + kRows - 1) / kRows;
  const bool fits = call.rank(0) == 3 && (call.is(1, {groups, size}) || call.is(1, {1, size})) && call.is(2, {rows, size}) &&
                    call.size(3) == size && call.size(4) == rows && call.size(5) == groups && call.size(6) == groups &&
                    call.size(7) == groups;
  if (!fits) return call.refuse("SemdistillLoss: shapes do not match");
  const int32_t* labels = call.integers(4);
  for (int64_t i = 0; i < rows; ++i)
    if (labels[i] < -2 || labels[i] >= size) return call.refuse("SemdistillLoss: a label lies outside the vocabulary");
  float *grad = call.output(0, {groups, rows, size}), *sums = grad ? call.output(1, {groups, 2}) : nullptr,
        *biasGrad = sums ? call.output(2, {groups, size}) : nullptr;
  if (biasGrad == nullptr) return;
  const int64_t biasStride = call.dim(1, 0) == 1 ? 0 : size;
  std::vector<Row> parts(groups * rows);
  std::vector<float> biasParts(groups * blocks * size);
#pragma omp parallel
  {
    Work work(size);
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t i = block * kRows; i < std::min(rows, (block + 1) * kRows); ++i) {
        if (labels[i] == -1) {
          for (int64_t k = 0; k < groups; ++k) std::memset(grad + (k * rows + i) * size, 0, sizeof(float) * size);
          continue;
        }
        work.teacherTop = biased(call.floats(2) + i * size, call.floats(3), static_cast<int>(size), work.teacher.data());
        work.teacherRate = 0;
        for (int64_t k = 0; k < groups; ++k) {
          const Student student{call.floats(5)[k], call.floats(6)[k], call.floats(7)[k]};
          const int64_t at = k * rows + i;
          parts[at] = lossOfRow(call.floats(0) + at * size, call.floats(1) + k * biasStride, labels[i], static_cast<int>(size), student, work,
                                grad + at * size, biasParts.data() + (k * blocks + block) * size);
        }
      }
  }
  for (int64_t k = 0; k < groups; ++k) {
    double a = 0, b = 0;
    for (int64_t i = 0; i < rows; ++i) a += parts[k * rows + i].soft, b += parts[k * rows + i].hard;
    sums[2 * k] = static_cast<float>(a);
    sums[2 * k + 1] = static_cast<float>(b);
    addParts(biasParts.data() + k * blocks * size, blocks, size, biasGrad + k * size);
  }
}

}  // namespace

bool registerLoss(TF_Status* status) {
  return registerOperation(
      "SemdistillLoss",
      {"student: float", "student_bias: float", "teacher: float", "teacher_bias: float", "labels: int32", "temperature: float",
       "soft_weight: float", "hard_weight: float"},
      {"grad: float", "sums: float", "bias_grad: float"}, &compute, status);
}

}  // namespace semdistill
