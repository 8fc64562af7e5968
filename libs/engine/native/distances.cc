// How far apart two models' next-word distributions are, row by row, without a tensor of probabilities.
//
//   SemdistillDistances(student [K,n,V], student_bias [K or 1,V], teacher [n,V], teacher_bias [V]) -> measures [K,n,7]
//   p = softmax(teacher + teacher_bias), q = softmax(student + student_bias), m = (p + q) / 2; in nats:
//   KL(p || q), KL(q || p), JSD = (KL(p || m) + KL(q || m)) / 2, entropy of p, entropy of q,
//   1 where both have the same likeliest word, |5 likeliest of p and of q| / 5 (all V where V < 5); ties go to the lower id.
#include "softmax.h"

namespace semdistill {
namespace {

constexpr int kBest = 5;

// ln x for normal x > 0: exponent, and a polynomial of the mantissa in [sqrt(1/2), sqrt(2)); about 1 ulp.
INLINE float logarithm(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, 4);
  const int32_t shifted = bits - 0x3f3504f3;
  const int32_t exponent = shifted >> 23;
  const int32_t mantissa = bits - (exponent << 23);
  float m;
  std::memcpy(&m, &mantissa, 4);
  const float f = m - 1.0f, e = static_cast<float>(exponent), square = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  return f + (f * square * p - 0.5f * square + e * -2.12194440e-4f) + e * 0.693359375f;
}

// A row's logits, the largest of them, their exponentials, the log of the sum.
struct Distribution {
  std::vector<float> logits, exponentials;
  float top = 0, logSum = 0;
  double sum = 0;
  int best[kBest] = {};
  explicit Distribution(int64_t size) : logits(size), exponentials(size) {}
};

// The ids of the largest logits, largest first.
void findBest(const float* x, int size, int count, int* best) {
  float values[kBest];
  int found = 0;
  for (int v = 0; v < size; ++v) {
    if (found == count && !(x[v] > values[count - 1])) continue;
    int at = found < count ? found++ : count - 1;
    while (at > 0 && x[v] > values[at - 1]) values[at] = values[at - 1], best[at] = best[at - 1], --at;
    values[at] = x[v], best[at] = v;
  }
}

void spread(const float* x, const float* bias, int size, Distribution& d) {
  d.top = biased(x, bias, size, d.logits.data());
  d.sum = exponentials(d.logits.data(), size, d.top, 1.0f, d.exponentials.data());
  d.logSum = static_cast<float>(std::log(d.sum));
}

CLONES void compare(const Distribution& teacher, const Distribution& student, int size, float* measures) {
  const float *t = teacher.logits.data(), *s = student.logits.data(), *et = teacher.exponentials.data(), *es = student.exponentials.data();
  const float inverseT = static_cast<float>(1 / teacher.sum), inverseS = static_cast<float>(1 / student.sum);
  double forward = 0, reverse = 0, middle = 0, ofTeacher = 0, ofStudent = 0;
  for (int from = 0; from < size; from += kBlock) {
    const int to = from + kBlock < size ? from + kBlock : size;
    float a = 0, b = 0, c = 0, d = 0, e = 0;
#pragma omp simd reduction(+ : a, b, c, d, e)
    for (int v = from; v < to; ++v) {
      const float p = et[v] * inverseT, q = es[v] * inverseS, logP = (t[v] - teacher.top) - teacher.logSum,
                  logQ = (s[v] - student.top) - student.logSum;
      const float m = 0.5f * (p + q), logM = logarithm(m > 1e-37f ? m : 1e-37f);
      a += p * (logP - logQ);
      b += q * (logQ - logP);
      c += p * (logP - logM) + q * (logQ - logM);
      d -= p * logP;
      e -= q * logQ;
    }
    forward += a, reverse += b, middle += c, ofTeacher += d, ofStudent += e;
  }
  measures[0] = static_cast<float>(forward), measures[1] = static_cast<float>(reverse), measures[2] = static_cast<float>(0.5 * middle);
  measures[3] = static_cast<float>(ofTeacher), measures[4] = static_cast<float>(ofStudent);
}

void compute(void*, TF_OpKernelContext* context) {
  Call call(context);
  const int64_t groups = call.dim(0, 0), rows = call.dim(0, 1), size = call.dim(0, 2);
  if (call.rank(0) != 3 || size < 1 || !(call.is(1, {groups, size}) || call.is(1, {1, size})) || !call.is(2, {rows, size}) ||
      call.size(3) != size)
    return call.refuse("SemdistillDistances: shapes do not match");
  float* measures = call.output(0, {groups, rows, 7});
  if (measures == nullptr) return;
  const int64_t biasStride = call.dim(1, 0) == 1 ? 0 : size;
  const int count = static_cast<int>(std::min<int64_t>(kBest, size)), words = static_cast<int>(size);
#pragma omp parallel
  {
    Distribution teacher(size), student(size);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; ++i) {
      spread(call.floats(2) + i * size, call.floats(3), words, teacher);
      findBest(teacher.logits.data(), words, count, teacher.best);
      for (int64_t k = 0; k < groups; ++k) {
        float* out = measures + (k * rows + i) * 7;
        spread(call.floats(0) + (k * rows + i) * size, call.floats(1) + k * biasStride, words, student);
        findBest(student.logits.data(), words, count, student.best);
        compare(teacher, student, words, out);
        int shared = 0;
        for (int a = 0; a < count; ++a) shared += std::find(teacher.best, teacher.best + count, student.best[a]) != teacher.best + count;
        out[5] = teacher.best[0] == student.best[0] ? 1.0f : 0.0f;
        out[6] = static_cast<float>(shared) / static_cast<float>(count);
      }
    }
  }
}

}  // namespace

bool registerDistances(TF_Status* status) {
  return registerOperation("SemdistillDistances", {"student: float", "student_bias: float", "teacher: float", "teacher_bias: float"},
                           {"measures: float"}, &compute, status);
}

}  // namespace semdistill
