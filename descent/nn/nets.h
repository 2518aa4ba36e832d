// Ready nets: functions that give layers. Each takes images [n, height, width, channels], or [n, height, width] of one
// channel, as f32, and gives a score for each of `outputs` classes. Those for sequences are in transformer.h.
#pragma once

#include "descent/nn/sequential.h"

namespace descent::nn {

// LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998, for images of
// 28 x 28, with the maxima and ReLUs that took the place of its means and tanh.
Sequential lenet5(int64_t outputs = 10);

// After Simonyan and Zisserman, "Very deep convolutional networks", 2015, small and with batch norm, for images of
// about 32 x 32: three times two convolutions of 3 x 3 and a maximum of 2 x 2, of `width`, twice and four times it.
Sequential vgg_small(int64_t outputs = 10, int64_t width = 64);

// He, Zhang, Ren and Sun, "Deep residual learning", 2016, for images of about 32 x 32. ResNet-20 has three stages of
// three blocks, of `width`, twice and four times it; ResNet-18 four stages of two. Where a block changes the shape, a
// 1 x 1 convolution brings its input along.
Sequential resnet20(int64_t outputs = 10, int64_t width = 16);
Sequential resnet18(int64_t outputs = 10, int64_t width = 64);

// For boards: planes [n, size, size, channels] of any size become [n, size * size + 1] scores, of the points row by row
// and of a pass; with a value, one column more, the logit of "the player to move wins". A trunk of residual blocks
// under two heads, after Silver et al., "Mastering the game of Go without human knowledge", 2017; but a score of a
// point comes from what the trunk says there, and pass and value from means over the board, in the place of layers that
// know its size (Wu, "Accelerating self-play learning in Go", 2019).
Sequential go_resnet(int64_t width = 64, int64_t blocks = 5, bool value = true);

// Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024 (airbench94), for images of about
// 32 x 32: whitened patches of 2 x 2 (see WhitenPatches; it wants examples), three blocks of two convolutions of
// `width`, four times it and four times it, the largest value of each channel, and scores divided by 9. Convolutions
// start as copies of their channels; norms have no gain, and biases that learn 64 times as fast.
Sequential airbench(int64_t outputs = 10, int64_t width = 64);

// The table: "airbench", "go-resnet", "lenet-5", "vgg-small", "resnet-18", "resnet-20", "decoder"; and a net from it.
std::span<const Kind<Sequential>> net_kinds();
Sequential make_ready_net(std::string_view kind, const Settings& settings = {});

}  // namespace descent::nn
