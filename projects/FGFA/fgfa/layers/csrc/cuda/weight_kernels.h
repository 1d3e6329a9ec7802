// Bodies of the kernels that weigh the frames of a key frame (thread_team.h says what a body is).
// A thread owns a cell of a key frame. The T values of a key frame's cell are `plane` apart, in
// arrays (B * T, H, W).

#pragma once

#include "warp_kernels.h"

namespace fgfa {

// Calls body(cell, first) for the cells of all key frames that a thread owns; first: index of what
// belongs to the first frame.
template <typename Context, typename Body>
FGFA_DEVICE void for_each_key_cell(const Context& context, int64_t keys, int64_t frames,
                                   int64_t plane, const Body& body) {
  for_each_item<kThreads>(context, context.thread(), keys * plane, [&](int64_t item, bool active) {
    if (active) body(item, item / plane * frames * plane + item % plane);
  });
}

template <typename acc_t>
FGFA_DEVICE acc_t cosine(const Products<acc_t>& products) {
  return cosine(products.sums, products.fixed_square);
}

template <typename acc_t>
FGFA_DEVICE Softmax<acc_t> softmax_of_cosines(const Products<acc_t>* products, int64_t frames,
                                              int64_t plane) {
  Softmax<acc_t> softmax;
  for (int64_t t = 0; t < frames; ++t) {
    softmax.add(cosine(products[t * plane]));
  }
  return softmax;
}

template <typename acc_t>
struct FrameWeights {
  static constexpr int kItems = kThreads;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  const Products<acc_t>* embeddings;  // (B * T, H, W), with the key embeddings
  acc_t* weights;                     // (B * T, H, W)
  int64_t keys, frames, plane;

  FGFA_HOST_DEVICE int64_t items() const { return keys * plane; }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    for_each_key_cell(context, keys, frames, plane, [&](int64_t, int64_t first) {
      const auto softmax = softmax_of_cosines(embeddings + first, frames, plane);
      for (int64_t t = 0; t < frames; ++t) {
        const int64_t at = first + t * plane;
        weights[at] = softmax.weight(cosine(embeddings[at]));
      }
    });
  }
};

// What gradients of features, embeddings and key embeddings are made of, cell by cell (see
// CosineSlopes): weights * grad of the result for the features, and so on.
template <typename acc_t>
struct FrameWeightsBackward {
  static constexpr int kItems = kThreads;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  const Products<acc_t>* embeddings;  // (B * T, H, W), with the key embeddings
  const Products<acc_t>* features;    // (B * T, H, W), with the gradient of the result
  acc_t* weights;                     // (B * T, H, W)
  acc_t* cross;                       // (B * T, H, W)
  acc_t* warped;                      // (B * T, H, W)
  acc_t* key;                         // (B, H, W)
  int64_t keys, frames, plane;

  FGFA_HOST_DEVICE int64_t items() const { return keys * plane; }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    for_each_key_cell(context, keys, frames, plane, [&](int64_t cell, int64_t first) {
      const auto softmax = softmax_of_cosines(embeddings + first, frames, plane);
      acc_t mean = 0;
      for (int64_t t = 0; t < frames; ++t) {
        const int64_t at = first + t * plane;
        weights[at] = softmax.weight(cosine(embeddings[at]));
        mean += weights[at] * features[at].sums.product;
      }
      acc_t key_total = 0;
      for (int64_t t = 0; t < frames; ++t) {
        const int64_t at = first + t * plane;
        const acc_t grad = softmax_grad(weights[at], features[at].sums.product, mean);
        const auto slopes = cosine_slopes(embeddings[at].sums, embeddings[at].fixed_square);
        cross[at] = grad * slopes.cross;
        warped[at] = grad * slopes.warped;
        key_total += grad * slopes.key;
      }
      key[cell] = key_total;
    });
  }
};

}  // namespace fgfa
