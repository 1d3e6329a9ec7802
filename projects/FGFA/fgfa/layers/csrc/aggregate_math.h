// Arithmetic of aggregate, one cell at a time, shared by the CPU and the CUDA kernels.

#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "flow_warp_math.h"

namespace fgfa {

// Inside the square root of the norm, as in MXNet's L2Normalization.
constexpr double kNormEps = 1e-10;

// What the cosine of two embeddings is made of, as sums over channels.
template <typename acc_t>
struct CosineSums {
  acc_t product;  // of the warped embedding with the key frame's
  acc_t square;   // of the warped embedding with itself
};

// key_square: sum over channels of the squared embedding of the key frame.
template <typename acc_t>
FGFA_HOST_DEVICE acc_t cosine(const CosineSums<acc_t>& sums, acc_t key_square) {
  const acc_t eps = static_cast<acc_t>(kNormEps);
  return sums.product / (std::sqrt(sums.square + eps) * std::sqrt(key_square + eps));
}

// Derivatives of cosine(), linear in the two embeddings: by channel c of the warped embedding,
// cross * key[c] - warped * embedding[c]; by channel c of the key frame's,
// cross * embedding[c] - key * key[c].
template <typename acc_t>
struct CosineSlopes {
  acc_t cross, warped, key;
};

template <typename acc_t>
FGFA_HOST_DEVICE CosineSlopes<acc_t> cosine_slopes(const CosineSums<acc_t>& sums,
                                                   acc_t key_square) {
  const acc_t square = sums.square + static_cast<acc_t>(kNormEps);
  key_square += static_cast<acc_t>(kNormEps);
  const acc_t cross = 1 / (std::sqrt(square) * std::sqrt(key_square));
  const acc_t value = sums.product * cross;
  return {cross, value / square, value / key_square};
}

// Softmax that sees its inputs one after another: their maximum so far, and the sum of
// exp(input - maximum). A NaN among the inputs makes every weight NaN.
template <typename acc_t>
struct Softmax {
  acc_t maximum = -std::numeric_limits<acc_t>::infinity();
  acc_t sum = 0;

  FGFA_HOST_DEVICE void add(acc_t input) {
    if (input > maximum) {
      sum = sum * std::exp(maximum - input) + 1;
      maximum = input;
    } else {
      sum += std::exp(input - maximum);
    }
  }

  // Once every input was added.
  FGFA_HOST_DEVICE acc_t weight(acc_t input) const { return std::exp(input - maximum) / sum; }
};

// Gradient of one input of the softmax. mean: of the gradients of all weights, weighted by them.
template <typename acc_t>
FGFA_HOST_DEVICE acc_t softmax_grad(acc_t weight, acc_t grad_weight, acc_t mean) {
  return weight * (grad_weight - mean);
}

}  // namespace fgfa
