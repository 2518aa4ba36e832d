// Judging by several views of each image: what a net says of an image, of its mirror image, and of it moved a little,
// is averaged. (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks",
// 2012, average ten crops.)
#pragma once

#include <vector>

#include "descent/train/evaluate.h"

namespace descent::train {

struct TestTimeViews {
  bool flip = false;  // each view also with left and right changed
  int64_t shift = 0;  // also moved by so many pixels up, down, left and right, the image mirrored at its edge

  int64_t count() const { return (flip ? 2 : 1) * (shift > 0 ? 5 : 1); }
};

// The view numbered 0 (the images themselves) to count() - 1 of images u8 [N,H,W] or [N,H,W,C]; fails if they are none.
Array view_of(const Array& images, const TestTimeViews& views, int64_t number);

// Outputs f32 [N,K] whose probabilities are the means over the views: logarithms of mean probabilities where the loss
// makes probabilities of scores (cross entropy, binary cross entropy, KL divergence), else mean outputs.
Array predict(nn::Module& net, const nn::Loss& loss, const Array& inputs, const TestTimeViews& views,
              EvaluateOptions options = {});

Evaluation evaluate(nn::Module& net, const nn::Loss& loss, const data::Dataset& data, const TestTimeViews& views,
                    EvaluateOptions options = {});

}  // namespace descent::train
