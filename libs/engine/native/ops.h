// What the operations of this addon share: instruction sets chosen at run time, an exponential of our own, Philox, and the
// few calls of TensorFlow's C API that every kernel makes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/kernels_experimental.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE inline __attribute__((always_inline))

namespace semdistill {

// e^x for x <= 0 (about 1 ulp above -87, then 0): x = n ln 2 + r, a polynomial in r, n added to the exponent. Our own, so that
// it does not depend on the C library. Adding 1.5 * 2^23 rounds to a whole number that then stands in the low bits.
INLINE float exponential(float x) {
  constexpr float kRound = 12582912.0f;
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted = clamped * 1.44269504f + kRound, n = shifted - kRound;
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691e-4f;
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666665e-1f;
  p = p * r + 5.0000001e-1f;
  p = p * r * r + r + 1.0f;
  int32_t whole;
  std::memcpy(&whole, &shifted, 4);
  const uint32_t bits = static_cast<uint32_t>(whole + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

// One call of a kernel: its inputs, its outputs, what goes wrong. Everything is given back at the end.
class Call {
 public:
  // The first inputs may be resource variables: they are opened by `variable`.
  explicit Call(TF_OpKernelContext* context, size_t variables = 0) : context_(context), status_(TF_NewStatus()) {
    inputs_.resize(TF_NumInputs(context));
    for (size_t i = variables; i < inputs_.size(); ++i) TF_GetInput(context, static_cast<int>(i), &inputs_[i], status_);
  }
  ~Call() {
    for (auto* tensor : inputs_)
      if (tensor != nullptr) TF_DeleteTensor(tensor);
    for (auto* tensor : outputs_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  int rank(int input) const { return TF_NumDims(inputs_[input]); }
  int64_t dim(int input, int axis) const { return TF_Dim(inputs_[input], axis); }
  int64_t size(int input) const { return TF_TensorElementCount(inputs_[input]); }
  const float* floats(int input) const { return static_cast<const float*>(TF_TensorData(inputs_[input])); }
  const int32_t* integers(int input) const { return static_cast<const int32_t*>(TF_TensorData(inputs_[input])); }
  bool is(int input, std::initializer_list<int64_t> shape) const {
    if (rank(input) != static_cast<int>(shape.size())) return false;
    int axis = 0;
    for (const int64_t wanted : shape)
      if (dim(input, axis++) != wanted) return false;
    return true;
  }
  // nullptr when the memory is not there; then the failure has been told.
  float* output(int index, std::initializer_list<int64_t> shape) {
    std::vector<int64_t> dims(shape);
    int64_t count = 1;
    for (const int64_t n : dims) count *= n;
    TF_Tensor* tensor = TF_AllocateOutput(context_, index, TF_FLOAT, dims.data(), static_cast<int>(dims.size()),
                                          sizeof(float) * count, status_);
    if (tensor == nullptr || TF_GetCode(status_) != TF_OK) {
      TF_OpKernelContext_Failure(context_, status_);
      return nullptr;
    }
    outputs_.push_back(tensor);
    return static_cast<float*>(TF_TensorData(tensor));
  }
  // The values of a variable, to be written over; copied by `copy` first where somebody else holds them. nullptr: told already.
  float* variable(int input, void (*copy)(TF_OpKernelContext*, TF_Tensor* source, TF_Tensor* destination)) {
    TF_GetInputTensorFromVariable(context_, input, false, false, false, copy, &inputs_[input], status_);
    if (TF_GetCode(status_) != TF_OK) {
      TF_OpKernelContext_Failure(context_, status_);
      return nullptr;
    }
    return static_cast<float*>(TF_TensorData(inputs_[input]));
  }
  // The memory of an input as an output, to be written over: only for an input that the caller owns alone and will not read again.
  float* inPlace(int index, int input) {
    TF_SetOutput(context_, index, inputs_[input], status_);
    if (TF_GetCode(status_) != TF_OK) {
      TF_OpKernelContext_Failure(context_, status_);
      return nullptr;
    }
    return static_cast<float*>(TF_TensorData(inputs_[input]));
  }
  void refuse(const char* reason) {
    TF_SetStatus(status_, TF_INVALID_ARGUMENT, reason);
    TF_OpKernelContext_Failure(context_, status_);
  }

 private:
  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> inputs_, outputs_;
};

// Dropout of a site: element e of a row-major [rows, width] is kept when word e of the stream, as a multiple of 2^-24 in [0, 1), is
// at least the rate; kept ones are divided by 1 - rate. Words as libs/semcom/philox.ts makes them.
struct Dropout {
  bool active = false;
  float rate = 0, scale = 1;
  uint32_t key[2] = {}, high[2] = {};
  int64_t first = 0;

  // rates [rate, 1 - rate]; site [key0, key1, counter2, counter3, first element / width]; empty: no dropout.
  Dropout(const Call& call, int rates, int site, int64_t width) {
    if (call.size(rates) != 2 || call.size(site) != 5 || call.floats(rates)[0] <= 0) return;
    active = true;
    rate = call.floats(rates)[0];
    scale = 1.0f / call.floats(rates)[1];
    const int32_t* words = call.integers(site);
    for (int i = 0; i < 2; ++i) key[i] = static_cast<uint32_t>(words[i]), high[i] = static_cast<uint32_t>(words[2 + i]);
    first = static_cast<int64_t>(words[4]) * width;
  }
};

// factor[c] for the elements of one row: 0, or 1 / (1 - rate). `words` has room for width + 8.
INLINE void rowFactors(const Dropout& dropout, int64_t row, int64_t width, uint32_t* words, float* factors) {
  const int64_t from = dropout.first + row * width, block = from / 4, skip = from - 4 * block;
  const int64_t blocks = (skip + width + 3) / 4;
  constexpr int kLanes = 16;
  for (int64_t at = 0; at < blocks; at += kLanes) {
    uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
    for (int l = 0; l < kLanes; ++l) {
      const uint64_t counter = static_cast<uint64_t>(block + at + l);
      c0[l] = static_cast<uint32_t>(counter), c1[l] = static_cast<uint32_t>(counter >> 32);
      c2[l] = dropout.high[0], c3[l] = dropout.high[1];
    }
    uint32_t k0 = dropout.key[0], k1 = dropout.key[1];
    for (int round = 0; round < 10; ++round) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        const uint64_t p0 = static_cast<uint64_t>(0xd2511f53u) * c0[l], p1 = static_cast<uint64_t>(0xcd9e8d57u) * c2[l];
        c0[l] = static_cast<uint32_t>(p1 >> 32) ^ c1[l] ^ k0;
        c2[l] = static_cast<uint32_t>(p0 >> 32) ^ c3[l] ^ k1;
        c1[l] = static_cast<uint32_t>(p1);
        c3[l] = static_cast<uint32_t>(p0);
      }
      k0 += 0x9e3779b9u, k1 += 0xbb67ae85u;
    }
    for (int l = 0; l < kLanes && at + l < blocks; ++l) {
      uint32_t* to = words + 4 * (at + l);
      to[0] = c0[l], to[1] = c1[l], to[2] = c2[l], to[3] = c3[l];
    }
  }
  for (int64_t c = 0; c < width; ++c)
    factors[c] = static_cast<float>(words[skip + c] >> 8) * 5.9604645e-8f >= dropout.rate ? dropout.scale : 0.0f;
}

// Adds the rows of parts [count, width] to out [width], in their order.
INLINE void addParts(const float* parts, int64_t count, int64_t width, float* out) {
  for (int64_t c = 0; c < width; ++c) out[c] = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < width; ++c) out[c] += parts[i * width + c];
}

// Registers an operation and its CPU kernel; false with the reason in `status`.
inline bool registerOperation(const char* name, std::initializer_list<const char*> inputs, std::initializer_list<const char*> outputs,
                              void (*compute)(void*, TF_OpKernelContext*), TF_Status* status) {
  auto* op = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(op, input);
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(op, output);
  // Without outputs it is called for what it does.
  TF_OpDefinitionBuilderSetIsStateful(op, outputs.size() == 0);
  TF_RegisterOpDefinition(op, status);
  if (TF_GetCode(status) != TF_OK) return false;
  auto* kernel = TF_NewKernelBuilder(
      name, "CPU", [](TF_OpKernelConstruction*) -> void* { return nullptr; }, compute, [](void*) {});
  TF_RegisterKernelBuilder(name, kernel, status);
  return TF_GetCode(status) == TF_OK;
}

bool registerAdam(TF_Status* status);
bool registerLoss(TF_Status* status);
bool registerAttention(TF_Status* status);
bool registerRows(TF_Status* status);
bool registerEmbedding(TF_Status* status);
bool registerDistances(TF_Status* status);

}  // namespace semdistill
