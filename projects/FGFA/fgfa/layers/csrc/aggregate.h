// What the CPU and the CUDA entry points of aggregate check and share.

#pragma once

#include "flow_warp.h"

namespace fgfa {

// Sizes of B key frames with T frames each: features (B * T, C, H, W), embeddings (B * T, E, H, W),
// flow (B * T, 2, H, W), key embeddings (B, E, H, W).
struct AggregateShape {
  int64_t keys, frames, channels, embedding_channels, height, width;

  int64_t plane() const { return height * width; }
  MapShape features() const { return {keys * frames, channels, height, width}; }
  MapShape embeddings() const { return {keys * frames, embedding_channels, height, width}; }
  MapShape key_embedding() const { return {keys, embedding_channels, height, width}; }
  MapShape result() const { return {keys, channels, height, width}; }
};

inline AggregateShape check_aggregate(const torch::stable::Tensor& features,
                                      const torch::stable::Tensor& embeddings,
                                      const torch::stable::Tensor& flow,
                                      const torch::stable::Tensor& key_embedding) {
  const MapShape map = check_flow_warp(features, flow, "aggregate", "features");
  STD_TORCH_CHECK(embeddings.dim() == 4 && embeddings.size(0) == map.batch &&
                      embeddings.size(2) == map.height && embeddings.size(3) == map.width,
                  "aggregate: embeddings must have shape (B * T, E, H, W) with B * T, H and W of "
                  "the features: ",
                  map.batch, ", ", map.height, ", ", map.width, ".");
  const int64_t channels = embeddings.size(1);
  STD_TORCH_CHECK(key_embedding.dim() == 4 && key_embedding.size(1) == channels &&
                      key_embedding.size(2) == map.height && key_embedding.size(3) == map.width,
                  "aggregate: key_embedding must have shape (B, E, H, W) with E, H and W of the "
                  "embeddings: ",
                  channels, ", ", map.height, ", ", map.width, ".");
  const int64_t keys = key_embedding.size(0);
  STD_TORCH_CHECK(keys == 0 ? map.batch == 0 : map.batch % keys == 0, "aggregate: ", map.batch,
                  " frames cannot be shared out among ", keys, " key frames.");
  STD_TORCH_CHECK(features.device() == embeddings.device() &&
                      features.device() == key_embedding.device() &&
                      features.scalar_type() == embeddings.scalar_type() &&
                      features.scalar_type() == key_embedding.scalar_type(),
                  "aggregate: features, embeddings and key_embedding must have one type and be on "
                  "one device.");
  const int64_t frames = keys == 0 ? 0 : map.batch / keys;
  return {keys, frames, map.channels, channels, map.height, map.width};
}

inline void check_aggregate_grad(const torch::stable::Tensor& grad,
                                 const torch::stable::Tensor& features,
                                 const AggregateShape& shape) {
  STD_TORCH_CHECK(
      has_shape(grad, shape.result()) && grad.device() == features.device() &&
          grad.scalar_type() == features.scalar_type(),
      "aggregate_backward: grad must have the shape of the result, and the type and device of "
      "features.");
}

}  // namespace fgfa
