// The distillation loss of a chunk of rows as one TensorFlow op, registered through TensorFlow's C API when this addon is loaded.
// One pass a row in the cache instead of a dozen passes over [rows, vocabulary] through memory.
//
//   SemdistillLoss(student [K,n,V], teacher [n,V], labels [n], temperature [K], soft_weight [K], hard_weight [K])
//     -> grad [K,n,V], sums [K,2]
//   grad = soft T (softmax(s/T) - softmax(t/T)) + hard (softmax(s) - onehot(label))
//   sums = (sum of T^2 KL(softmax(t/T) || softmax(s/T)), sum of cross-entropy), nats
//   label >= 0: both terms; -1: the row counts for nothing; -2: soft term only.
//
// Rows are independent and summed in a fixed order, so the result does not depend on the number of threads. The exponential is
// our own polynomial, so it does not depend on the C library either. NaN in, NaN out.
#include <node_api.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

namespace {

// e^x for x <= 0 (about 1 ulp above -87, then 0): x = n ln 2 + r, a polynomial in r, n added to the exponent.
inline __attribute__((always_inline)) float exponential(float x) {
  const float clamped = x < -87.0f ? -87.0f : x;
  const float n = std::nearbyint(clamped * 1.44269504f);
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691e-4f;
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666665e-1f;
  p = p * r + 5.0000001e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

constexpr int kBlock = 512;

CLONES float maximum(const float* x, int size) {
  float m = x[0];
#pragma omp simd reduction(max : m)
  for (int v = 0; v < size; ++v) m = x[v] > m ? x[v] : m;
  return m;
}

// out[v] = e^((x[v] - shift) * rate); returns the sum.
CLONES double exponentials(const float* x, int size, float shift, float rate, float* out) {
  double total = 0;
  for (int from = 0; from < size; from += kBlock) {
    const int to = from + kBlock < size ? from + kBlock : size;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int v = from; v < to; ++v) {
      const float e = exponential((x[v] - shift) * rate);
      out[v] = e;
      sum += e;
    }
    total += sum;
  }
  return total;
}

// sum of weight[v] * (b[v] - a[v])
CLONES double weightedGap(const float* weight, const float* a, const float* b, float shiftA, float shiftB, int size) {
  double total = 0;
  for (int from = 0; from < size; from += kBlock) {
    const int to = from + kBlock < size ? from + kBlock : size;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int v = from; v < to; ++v) sum += weight[v] * ((b[v] - shiftB) - (a[v] - shiftA));
    total += sum;
  }
  return total;
}

CLONES void combine(float* g, const float* soft, const float* teacher, const float* hard, float cs, float ct, float ch, int size) {
#pragma omp simd
  for (int v = 0; v < size; ++v) g[v] = cs * soft[v] - ct * teacher[v] + ch * hard[v];
}

struct Row {
  double soft = 0, hard = 0;
};

// One row of one student. `work` holds 3 V floats: the teacher's exponentials, the student's at T, the student's at 1.
Row lossOfRow(const float* s, const float* t, int label, int size, float temperature, float softWeight, float hardWeight, float* g,
              float* work) {
  Row row;
  if (label == -1) {
    std::memset(g, 0, sizeof(float) * size);
    return row;
  }
  float *et = work, *es = work + size, *e1 = work + 2 * static_cast<int64_t>(size);
  const float ms = maximum(s, size), mt = maximum(t, size), rate = 1.0f / temperature;
  const bool needsHard = label >= 0, same = temperature == 1.0f;
  const double sumT = exponentials(t, size, mt, rate, et), sumS = exponentials(s, size, ms, rate, es);
  double sum1 = sumS;
  if (same) e1 = es;
  else if (needsHard) sum1 = exponentials(s, size, ms, 1.0f, e1);
  else e1 = es;
  const double kl = rate * weightedGap(et, s, t, ms, mt, size) / sumT + std::log(sumS) - std::log(sumT);
  row.soft = static_cast<double>(temperature) * temperature * kl;
  const float hard = needsHard ? hardWeight : 0.0f;
  combine(g, es, et, e1, static_cast<float>(softWeight * temperature / sumS), static_cast<float>(softWeight * temperature / sumT),
          static_cast<float>(hard / sum1), size);
  if (needsHard) {
    g[label] -= hardWeight;
    row.hard = std::log(sum1) - (s[label] - ms);
  }
  return row;
}

void* create(TF_OpKernelConstruction*) { return nullptr; }
void destroy(void*) {}

void compute(void*, TF_OpKernelContext* context) {
  TF_Status* status = TF_NewStatus();
  TF_Tensor* in[6] = {};
  for (int i = 0; i < 6; ++i) TF_GetInput(context, i, &in[i], status);
  const int64_t groups = TF_Dim(in[0], 0), rows = TF_Dim(in[0], 1), size = TF_Dim(in[0], 2);
  const bool fits = TF_NumDims(in[0]) == 3 && TF_NumDims(in[1]) == 2 && TF_Dim(in[1], 0) == rows && TF_Dim(in[1], 1) == size &&
                    TF_TensorElementCount(in[2]) == rows && TF_TensorElementCount(in[3]) == groups &&
                    TF_TensorElementCount(in[4]) == groups && TF_TensorElementCount(in[5]) == groups;
  const int* labels = static_cast<int*>(TF_TensorData(in[2]));
  bool labelsFit = fits;
  for (int64_t i = 0; fits && i < rows; ++i) labelsFit = labelsFit && labels[i] >= -2 && labels[i] < size;
  if (!labelsFit) {
    TF_SetStatus(status, TF_INVALID_ARGUMENT, fits ? "SemdistillLoss: a label lies outside the vocabulary" : "SemdistillLoss: shapes do not match");
    TF_OpKernelContext_Failure(context, status);
  } else {
    int64_t gradDims[3] = {groups, rows, size}, sumDims[2] = {groups, 2};
    TF_Tensor* grad = TF_AllocateOutput(context, 0, TF_FLOAT, gradDims, 3, sizeof(float) * groups * rows * size, status);
    TF_Tensor* sums = TF_AllocateOutput(context, 1, TF_FLOAT, sumDims, 2, sizeof(float) * groups * 2, status);
    const float *s = static_cast<float*>(TF_TensorData(in[0])), *t = static_cast<float*>(TF_TensorData(in[1]));
    const float *temperature = static_cast<float*>(TF_TensorData(in[3])), *soft = static_cast<float*>(TF_TensorData(in[4])),
                *hard = static_cast<float*>(TF_TensorData(in[5]));
    float* g = static_cast<float*>(TF_TensorData(grad));
    std::vector<Row> parts(groups * rows);
#pragma omp parallel
    {
      std::vector<float> work(3 * size);
#pragma omp for schedule(static) collapse(2)
      for (int64_t k = 0; k < groups; ++k)
        for (int64_t i = 0; i < rows; ++i) {
          const int64_t at = k * rows + i;
          parts[at] = lossOfRow(s + at * size, t + i * size, labels[i], static_cast<int>(size), temperature[k], soft[k], hard[k],
                                g + at * size, work.data());
        }
    }
    float* out = static_cast<float*>(TF_TensorData(sums));
    for (int64_t k = 0; k < groups; ++k) {
      double a = 0, b = 0;
      for (int64_t i = 0; i < rows; ++i) a += parts[k * rows + i].soft, b += parts[k * rows + i].hard;
      out[2 * k] = static_cast<float>(a);
      out[2 * k + 1] = static_cast<float>(b);
    }
    TF_DeleteTensor(grad);
    TF_DeleteTensor(sums);
  }
  for (auto* tensor : in) TF_DeleteTensor(tensor);
  TF_DeleteStatus(status);
}

napi_value init(napi_env env, napi_value exports) {
  TF_Status* status = TF_NewStatus();
  auto* op = TF_NewOpDefinitionBuilder("SemdistillLoss");
  for (const char* input : {"student: float", "teacher: float", "labels: int32", "temperature: float", "soft_weight: float", "hard_weight: float"})
    TF_OpDefinitionBuilderAddInput(op, input);
  TF_OpDefinitionBuilderAddOutput(op, "grad: float");
  TF_OpDefinitionBuilderAddOutput(op, "sums: float");
  TF_RegisterOpDefinition(op, status);
  if (TF_GetCode(status) != TF_OK) napi_throw_error(env, nullptr, TF_Message(status));
  auto* kernel = TF_NewKernelBuilder("SemdistillLoss", "CPU", &create, &compute, &destroy);
  TF_RegisterKernelBuilder("SemdistillLossCpu", kernel, status);
  if (TF_GetCode(status) != TF_OK) napi_throw_error(env, nullptr, TF_Message(status));
  TF_DeleteStatus(status);
  return exports;
}

}  // namespace

NAPI_MODULE(semdistill_ops, init)
