// aggregate by small arrays (B * T, H, W) of similarities and weights; no warped map is kept.

#pragma once

#include <torch/headeronly/core/Dispatch_v2.h>

#include <tuple>

#include "../aggregate.h"
#include "warp_steps.h"
#include "weight_kernels.h"

namespace fgfa {

// The arguments of aggregate, dense: what belongs to the features in the layout of the features,
// what belongs to the embeddings in theirs.
struct Window {
  Tensor features, embeddings, flow, key_embedding;
  AggregateShape shape;
  MemoryFormat features_layout, embeddings_layout;

  // An uninitialized array (n, H, W) of elements of `width` numbers each.
  Tensor array(int64_t n, int64_t width = 1) const {
    return torch::stable::new_empty(flow, {n, shape.height, shape.width, width});
  }
};

inline Window window_of(const Tensor& features, const Tensor& embeddings, const Tensor& flow,
                        const Tensor& key_embedding, const AggregateShape& shape) {
  const MemoryFormat features_layout = layout_of(features);
  const MemoryFormat embeddings_layout = layout_of(embeddings);
  return {torch::stable::contiguous(features, features_layout),
          torch::stable::contiguous(embeddings, embeddings_layout),
          torch::stable::contiguous(flow),
          torch::stable::contiguous(key_embedding, embeddings_layout),
          shape,
          features_layout,
          embeddings_layout};
}

template <typename acc_t>
Products<acc_t>* products_in(const Tensor& array) {
  static_assert(sizeof(Products<acc_t>) == 3 * sizeof(acc_t), "arrays are made for this size");
  return reinterpret_cast<Products<acc_t>*>(array.mutable_data_ptr<acc_t>());
}

// result: (B, C, H, W) in the layout of the features.
template <typename scalar_t, typename Launch>
void aggregate_as(const Launch& launch, const Window& window, const Tensor& result) {
  using acc_t = accumulate_t<scalar_t>;
  const AggregateShape& shape = window.shape;
  const auto maps = maps_of<scalar_t>(window.features, shape.features(), window.features_layout);
  const auto embeddings =
      maps_of<scalar_t>(window.embeddings, shape.embeddings(), window.embeddings_layout);
  const acc_t* const flow = window.flow.const_data_ptr<acc_t>();
  const Tensor products = window.array(maps.shape.batch, 3);
  const Tensor weights = window.array(maps.shape.batch);
  acc_t* const weight_data = weights.mutable_data_ptr<acc_t>();

  warped_products(launch, embeddings, flow, window.key_embedding.const_data_ptr<scalar_t>(),
                  shape.frames, products_in<acc_t>(products));
  launch(FrameWeights<acc_t>{products_in<acc_t>(products), weight_data, shape.keys, shape.frames,
                             shape.plane()});
  warped_sum<scalar_t>(launch, maps, flow, {weight_data, nullptr, nullptr}, shape.frames,
                       result.mutable_data_ptr<scalar_t>(), shape.keys);
}

template <typename Launch>
Tensor aggregate(const Tensor& features, const Tensor& embeddings, const Tensor& flow,
                 const Tensor& key_embedding) {
  const AggregateShape shape = check_aggregate(features, embeddings, flow, key_embedding);
  const Launch launch(features);
  const Window window = window_of(features, embeddings, flow, key_embedding, shape);
  const ScalarType type = features.scalar_type();
  const Tensor result = empty_maps(features, shape.result(), type, window.features_layout);
  THO_DISPATCH_V2(type, "aggregate",
                  AT_WRAP([&] { aggregate_as<scalar_t>(launch, window, result); }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return result;
}

// Gradients of the arguments, each in the layout of its argument; the first three are added to.
struct WindowGradients {
  Tensor features, embeddings, flow;  // of the type that sums have
  Tensor key_embedding;
};

// grad: (B, C, H, W) in the layout of the features.
template <typename scalar_t, typename Launch>
void aggregate_backward_as(const Launch& launch, const Tensor& grad, const Window& window,
                           const WindowGradients& gradients, bool deterministic) {
  using acc_t = accumulate_t<scalar_t>;
  const AggregateShape& shape = window.shape;
  const int64_t frames = shape.frames;
  const auto maps = maps_of<scalar_t>(window.features, shape.features(), window.features_layout);
  const auto embeddings =
      maps_of<scalar_t>(window.embeddings, shape.embeddings(), window.embeddings_layout);
  const acc_t* const flow = window.flow.const_data_ptr<acc_t>();
  const scalar_t* const grad_data = grad.const_data_ptr<scalar_t>();
  const scalar_t* const key_data = window.key_embedding.const_data_ptr<scalar_t>();
  const Tensor embedding_products = window.array(maps.shape.batch, 3);
  const Tensor feature_products = window.array(maps.shape.batch, 3);
  const Tensor weights = window.array(maps.shape.batch);
  const Tensor cross = window.array(maps.shape.batch);
  const Tensor warped = window.array(maps.shape.batch);
  const Tensor key = window.array(shape.keys);

  warped_products(launch, embeddings, flow, key_data, frames,
                  products_in<acc_t>(embedding_products));
  warped_products(launch, maps, flow, grad_data, frames, products_in<acc_t>(feature_products));
  launch(FrameWeightsBackward<acc_t>{
      products_in<acc_t>(embedding_products), products_in<acc_t>(feature_products),
      weights.mutable_data_ptr<acc_t>(), cross.mutable_data_ptr<acc_t>(),
      warped.mutable_data_ptr<acc_t>(), key.mutable_data_ptr<acc_t>(), shape.keys, frames,
      shape.plane()});

  acc_t* const grad_flow = gradients.flow.mutable_data_ptr<acc_t>();
  const WarpedGradient<scalar_t> of_maps{
      maps.data, flow, grad_data, weights.const_data_ptr<acc_t>(), nullptr, maps.shape, frames};
  warp_backward(launch, of_maps, maps.layout, deterministic,
                gradients.features.mutable_data_ptr<acc_t>(), grad_flow);
  const WarpedGradient<scalar_t> of_embeddings{embeddings.data,
                                               flow,
                                               key_data,
                                               cross.const_data_ptr<acc_t>(),
                                               warped.const_data_ptr<acc_t>(),
                                               embeddings.shape,
                                               frames};
  warp_backward(launch, of_embeddings, embeddings.layout, deterministic,
                gradients.embeddings.mutable_data_ptr<acc_t>(), grad_flow);
  warped_sum<scalar_t>(launch, embeddings, flow,
                       {cross.const_data_ptr<acc_t>(), key_data, key.const_data_ptr<acc_t>()},
                       frames, gradients.key_embedding.mutable_data_ptr<scalar_t>(), shape.keys);
}

template <typename Launch>
std::tuple<Tensor, Tensor, Tensor, Tensor> aggregate_backward(
    const Tensor& grad, const Tensor& features, const Tensor& embeddings, const Tensor& flow,
    const Tensor& key_embedding, bool deterministic) {
  const AggregateShape shape = check_aggregate(features, embeddings, flow, key_embedding);
  check_aggregate_grad(grad, features, shape);
  const Launch launch(features);
  const Window window = window_of(features, embeddings, flow, key_embedding, shape);
  const Tensor out_grad = torch::stable::contiguous(grad, window.features_layout);
  const ScalarType type = features.scalar_type();
  // Sums are in the type of the flow; half precision is rounded to once, at the end.
  const WindowGradients gradients{
      zero_maps(features, shape.features(), flow.scalar_type(), window.features_layout),
      zero_maps(features, shape.embeddings(), flow.scalar_type(), window.embeddings_layout),
      torch::stable::new_zeros(flow, flow.sizes()),
      empty_maps(features, shape.key_embedding(), type, window.embeddings_layout)};
  THO_DISPATCH_V2(type, "aggregate_backward", AT_WRAP([&] {
                    aggregate_backward_as<scalar_t>(launch, out_grad, window, gradients,
                                                    deterministic);
                  }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return {torch::stable::to(gradients.features, type),
          torch::stable::to(gradients.embeddings, type), gradients.flow,
          torch::stable::contiguous(gradients.key_embedding, layout_of(key_embedding))};
}

}  // namespace fgfa
