// Descent, all of it that programs use: #include <descent/descent.h>.
#pragma once

// Arrays, graphs and what can be traced in them.
#include "descent/core/array.h"
#include "descent/grad/gradient.h"
#include "descent/graph/op.h"
#include "descent/ops/ops.h"

// Nets.
#include "descent/nn/activations.h"
#include "descent/nn/attention.h"
#include "descent/nn/conv.h"
#include "descent/nn/embedding.h"
#include "descent/nn/from_examples.h"
#include "descent/nn/function.h"
#include "descent/nn/initializers.h"
#include "descent/nn/layers.h"
#include "descent/nn/lengths.h"
#include "descent/nn/linear.h"
#include "descent/nn/losses.h"
#include "descent/nn/make_layer.h"
#include "descent/nn/module.h"
#include "descent/nn/nets.h"
#include "descent/nn/norms.h"
#include "descent/nn/pooling.h"
#include "descent/nn/recurrent.h"
#include "descent/nn/scan.h"
#include "descent/nn/sequential.h"
#include "descent/nn/sound_features.h"
#include "descent/nn/summary.h"
#include "descent/nn/transformer.h"
#include "descent/nn/whitening.h"

// Descent.
#include "descent/optim/average.h"
#include "descent/optim/lookahead.h"
#include "descent/optim/minimize.h"
#include "descent/optim/optimizer.h"
#include "descent/optim/schedules.h"

// Training.
#include "descent/train/test_time.h"
#include "descent/train/trainer.h"

// Data and files.
#include "descent/data/audio.h"
#include "descent/data/batches.h"
#include "descent/data/catalogue.h"
#include "descent/data/cifar.h"
#include "descent/data/csv.h"
#include "descent/data/dataset.h"
#include "descent/data/idx.h"
#include "descent/data/image.h"
#include "descent/data/image_folder.h"
#include "descent/data/normalizer.h"
#include "descent/data/npz.h"
#include "descent/data/sounds.h"
#include "descent/data/spoken.h"
#include "descent/data/table_encoder.h"
#include "descent/io/chart.h"
#include "descent/io/checkpoint.h"
#include "descent/io/net.h"
#include "descent/io/safetensors.h"
