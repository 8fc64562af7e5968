// Passes over one row of logits that the loss and the distances have in common.
#pragma once

#include "ops.h"

namespace semdistill {
namespace {

constexpr int kBlock = 512;  // a block stays in the first cache; sums are taken block by block

// out = x + bias; returns the largest.
CLONES float biased(const float* x, const float* bias, int size, float* out) {
  float m = x[0] + bias[0];
#pragma omp simd reduction(max : m)
  for (int v = 0; v < size; ++v) {
    const float y = x[v] + bias[v];
    out[v] = y;
    m = y > m ? y : m;
  }
  return m;
}

// The largest of x + bias.
CLONES float largest(const float* x, const float* bias, int size) {
  float m = x[0] + bias[0];
#pragma omp simd reduction(max : m)
  for (int v = 0; v < size; ++v) {
    const float y = x[v] + bias[v];
    m = y > m ? y : m;
  }
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

}  // namespace
}  // namespace semdistill
