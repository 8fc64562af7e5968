// Adam on resource variables [K, ...], each student with its own rate, decay and clipping factor, in one pass over the memory.
//
//   SemdistillAdam(w, m, v: resource [K, ...], gradient [K, ...], students [K, 3] = (rate, decay, factor), scalars [3] = (b1, b2, epsilon))
//     g = factor gradient + decay w,  m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w = w - rate m / (sqrt(v) + epsilon)
//   rate and epsilon carry the bias correction of the step (libs/distillation/adam.ts, correctedStep).
//
// A variable whose values somebody still holds is copied first, as TensorFlow's own updates do: what was held stays as it was.
// Each element is computed alone, so neither K nor the number of threads changes a bit.
#include "ops.h"

namespace semdistill {
namespace {

struct Student {
  float rate, decay, factor;
};

struct Scalars {
  float beta1, beta2, epsilon;
};

CLONES void update(float* w, float* m, float* v, const float* gradient, int64_t size, const Student& student, const Scalars& scalars) {
  const float b1 = scalars.beta1, b2 = scalars.beta2, rest1 = 1.0f - b1, rest2 = 1.0f - b2, epsilon = scalars.epsilon;
  const float rate = student.rate, decay = student.decay, factor = student.factor;
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) {
    const float g = factor * gradient[i] + decay * w[i];
    m[i] = b1 * m[i] + rest1 * g;
    v[i] = b2 * v[i] + rest2 * (g * g);
    w[i] -= rate * m[i] / (std::sqrt(v[i]) + epsilon);
  }
}

void copyWhole(TF_OpKernelContext*, TF_Tensor* source, TF_Tensor* destination) {
  std::memcpy(TF_TensorData(destination), TF_TensorData(source), TF_TensorByteSize(source));
  TF_DeleteTensor(source);
  TF_DeleteTensor(destination);
}

constexpr int64_t kBlock = 16384;  // elements a piece of work

void compute(void*, TF_OpKernelContext* context) {
  Call call(context, 3);
  float* values[3];
  for (int i = 0; i < 3; ++i) {
    values[i] = call.variable(i, &copyWhole);
    if (values[i] == nullptr) return;
  }
  const int64_t size = call.size(3), students = call.dim(4, 0);
  const bool fits = call.is(4, {students, 3}) && students > 0 && size % students == 0 && call.size(5) == 3 &&
                    call.size(0) == size && call.size(1) == size && call.size(2) == size;
  if (!fits) return call.refuse("SemdistillAdam: shapes do not match");
  const Scalars scalars{call.floats(5)[0], call.floats(5)[1], call.floats(5)[2]};
  const int64_t each = size / students, blocks = (each + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) collapse(2) if (size > 4 * kBlock)
  for (int64_t k = 0; k < students; ++k)
    for (int64_t block = 0; block < blocks; ++block) {
      const float* of = call.floats(4) + 3 * k;
      const int64_t at = k * each + block * kBlock, count = std::min(kBlock, each - block * kBlock);
      update(values[0] + at, values[1] + at, values[2] + at, call.floats(3) + at, count, Student{of[0], of[1], of[2]}, scalars);
    }
}

}  // namespace

bool registerAdam(TF_Status* status) {
  return registerOperation("SemdistillAdam",
                           {"w: resource", "m: resource", "v: resource", "gradient: float", "students: float", "scalars: float"}, {}, &compute,
                           status);
}

}  // namespace semdistill
