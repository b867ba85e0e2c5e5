"""Ordinary models of Keras 2, made with tf_keras: each function returns a model and inputs for it."""

import numpy as np
import tensorflow as tf

MODELS = {}
"""The functions by name."""


def of_list(make):
    MODELS[make.__name__] = make
    return make


def pictures(rng, *shape):
    return rng.random(shape, np.float32)


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def perturb(model, rng):
    """Give all weights values that differ from their initial ones, and variances that stay positive."""
    for weight in model.weights:
        if not hasattr(weight, "assign") or not weight.dtype.is_floating:
            continue
        value = weight.numpy()
        value = value + 0.1 * rng.standard_normal(value.shape).astype(value.dtype)
        weight.assign(np.abs(value) + 0.05 if "variance" in weight.name else value)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


@of_list
def convolution_sequential(k, rng):
    layers = k.layers
    model = k.Sequential([layers.Conv2D(4, 3, activation="relu", data_format="channels_last", input_shape=(12, 12, 1))])
    for layer in (layers.MaxPooling2D(), layers.Conv2D(6, 3, padding="same", groups=2), layers.AveragePooling2D()):
        model.add(layer)
    for layer in (layers.Flatten(), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.3)):
        model.add(layer)
    model.add(layers.Dense(10))
    model.add(layers.Activation("softmax"))
    return model, pictures(rng, 2, 12, 12, 1)


@of_list
def residual(k, rng):
    layers = k.layers
    image = x = k.Input((8, 8, 3), name="image")
    for filters in (4, 6):
        short = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Add()([x, short])
    return k.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))), pictures(rng, 2, 8, 8, 3)


def small_encoder(k, name="encoder", size=8):
    layers = k.layers
    image = k.Input((size, size, 3))
    x = layers.ZeroPadding2D(1)(image)
    x = layers.BatchNormalization(momentum=0.9, name="bn_first")(layers.Conv2D(4, 3, name="first")(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depth")(layers.ReLU(6.0)(x))
    x = layers.BatchNormalization(name="bn_depth")(x)
    return k.Model(image, layers.Conv2D(5, 1, name="last")(x), name=name)


@of_list
def nested_two_deep(k, rng):
    layers = k.layers
    middle = k.Input((8, 8, 3))
    features = layers.GlobalMaxPooling2D()(small_encoder(k)(middle))
    inner = k.Model(middle, layers.Dense(4, name="code")(features), name="inner")
    image = k.Input((8, 8, 3))
    return k.Model(image, layers.Dense(2)(inner(image))), pictures(rng, 2, 8, 8, 3)


@of_list
def nested_model_as_output(k, rng):
    layers = k.layers
    image = k.Input((8, 8, 3))
    encoder = small_encoder(k)
    head = k.Sequential([layers.Flatten(input_shape=(8, 8, 5)), layers.Dense(3)], name="head")
    return k.Model(image, [head(encoder(image)), encoder(image)]), pictures(rng, 2, 8, 8, 3)


@of_list
def teachable_machine(k, rng):
    """Return a Sequential of Sequentials, one of which holds a Functional."""
    layers = k.layers
    base = k.Sequential([small_encoder(k), layers.GlobalAveragePooling2D(name="pool")], name="base")
    base.trainable = False
    head = k.Sequential([layers.Dense(6, "relu", input_shape=(5,)), layers.Dense(2, "softmax", use_bias=False)])
    return k.Sequential([base, head]), pictures(rng, 2, 8, 8, 3)


@of_list
def transfer_learning(k, rng):
    """Return a frozen model with augmentation before it and preprocessing by operators, as in TensorFlow's tutorial."""
    layers = k.layers
    augment = k.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
    base = small_encoder(k)
    base.trainable = False
    image = k.Input((8, 8, 3))
    x = k.applications.mobilenet_v2.preprocess_input(augment(image))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(base(x, training=False)))
    return k.Model(image, layers.Dense(1)(x)), 255 * pictures(rng, 2, 8, 8, 3)


@of_list
def fine_tuned(k, rng):
    """Return a model that is frozen up to a layer: the order of its weights in an .h5 file is not that of its layers."""
    base = small_encoder(k)
    for layer in base.layers[:4]:
        layer.trainable = False
    model = k.Sequential([base, k.layers.Flatten(), k.layers.BatchNormalization(), k.layers.Dense(2)])
    return model, pictures(rng, 2, 8, 8, 3)


@of_list
def depthwise_and_separable(k, rng):
    layers = k.layers
    model = k.Sequential([layers.DepthwiseConv2D(3, depth_multiplier=2, input_shape=(9, 9, 3), activation="relu")])
    model.add(layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same"))
    model.add(layers.Conv2DTranspose(3, 3, strides=2, padding="same"))
    model.add(layers.Reshape((-1, 3)))
    model.add(layers.SeparableConv1D(4, 3))
    model.add(layers.Conv1DTranspose(2, 3))
    return model, pictures(rng, 2, 9, 9, 3)


@of_list
def recurrent(k, rng):
    layers = k.layers
    stack = [layers.Embedding(20, 6, mask_zero=True, input_length=7), layers.LSTM(5, return_sequences=True)]
    stack += [layers.GRU(4, return_sequences=True, reset_after=False), layers.SimpleRNN(3, go_backwards=True)]
    return k.Sequential([*stack, layers.Dense(2, "sigmoid")]), rng.integers(0, 20, (3, 7)).astype(np.int32)


@of_list
def bidirectional(k, rng):
    layers = k.layers
    stack = [layers.Bidirectional(layers.LSTM(4, return_sequences=True), input_shape=(6, 3))]
    stack += [layers.TimeDistributed(layers.Dense(5, "tanh")), layers.Bidirectional(layers.GRU(3), merge_mode="sum")]
    return k.Sequential([*stack, layers.Dense(2)]), numbers(rng, 2, 6, 3)


@of_list
def frames(k, rng):
    layers = k.layers
    frame = k.Sequential([layers.Conv2D(4, 3, input_shape=(8, 8, 3)), layers.BatchNormalization(), layers.Flatten()])
    film = k.Input((4, 8, 8, 3))
    x = layers.LSTM(3, unroll=True)(layers.TimeDistributed(frame)(film))
    return k.Model(film, layers.Dense(2)(x)), pictures(rng, 2, 4, 8, 8, 3)


@of_list
def conv_lstm(k, rng):
    layers = k.layers
    stack = [layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, input_shape=(3, 6, 6, 1))]
    stack += [layers.BatchNormalization(), layers.ConvLSTM2D(2, 3), layers.Conv2D(1, 1, activation="sigmoid")]
    return k.Sequential(stack), pictures(rng, 2, 3, 6, 6, 1)


@of_list
def recurrent_cells(k, rng):
    layers = k.layers
    row = k.Input((5, 3))
    x = layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)(row)
    x = layers.RNN(layers.SimpleRNNCell(3), return_sequences=True)(x)
    x, h, c = layers.LSTM(3, return_state=True, recurrent_activation="hard_sigmoid", implementation=1)(x)
    return k.Model(row, layers.Concatenate()([x, h, c])), numbers(rng, 2, 5, 3)


@of_list
def encoder_decoder(k, rng):
    layers = k.layers
    first, second = k.Input((None, 3), name="question"), k.Input((None, 4), name="answer")
    _, h, c = layers.LSTM(5, return_state=True)(first)
    decoded, _, _ = layers.LSTM(5, return_sequences=True, return_state=True)(second, initial_state=[h, c])
    model = k.Model([first, second], layers.Dense(4, "softmax")(decoded))
    return model, [numbers(rng, 2, 4, 3), numbers(rng, 2, 6, 4)]


@of_list
def stateful(k, rng):
    layers = k.layers
    stack = [layers.LSTM(4, stateful=True, batch_input_shape=(2, 5, 3)), layers.RepeatVector(3)]
    return k.Sequential([*stack, layers.GRU(2, stateful=True), layers.Dense(1)]), numbers(rng, 2, 5, 3)


@of_list
def attention(k, rng):
    layers = k.layers
    query, value = k.Input((4, 6)), k.Input((5, 6))
    dot = layers.Attention(use_scale=True)([query, value])
    added = layers.AdditiveAttention()([query, value])
    x = layers.Dot((2, 2))([layers.Concatenate()([dot, added]), layers.Concatenate()([query, query])])
    return k.Model([query, value], [x, layers.Attention(score_mode="dot")([query, value])]), [
        numbers(rng, 2, 4, 6),
        numbers(rng, 2, 5, 6),
    ]


@of_list
def transformer(k, rng):
    """Return an encoder block with positions from tf.range and a residual by the operator +."""
    layers = k.layers
    tokens = k.Input((None,), dtype="int32")
    positions = tf.range(start=0, limit=tf.shape(tokens)[-1], delta=1)
    x = layers.Embedding(30, 8)(tokens) + layers.Embedding(16, 8)(positions)
    attended = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
    x = layers.LayerNormalization()(x + layers.Dense(8)(layers.Dense(12, "gelu")(x)))
    mean = layers.GlobalAveragePooling1D()(x)
    return k.Model(tokens, layers.Dense(2)(mean)), rng.integers(0, 30, (2, 6)).astype(np.int32)


@of_list
def text(k, rng):
    layers = k.layers
    words = layers.TextVectorization(max_tokens=20, output_sequence_length=5)
    words.adapt(["the cat sat on the mat", "a dog sat", "the dog ate the cat"])
    stack = [k.Input((1,), dtype="string"), words, layers.Embedding(20, 4), layers.GlobalAveragePooling1D()]
    return k.Sequential([*stack, layers.Dense(2)]), tf.constant([["the cat"], ["a bird sat on the dog"]])


@of_list
def table(k, rng):
    layers = k.layers
    city, age = k.Input((1,), name="city", dtype="string"), k.Input((1,), name="age")
    code = k.Input((1,), name="code", dtype="int64")
    cities = layers.StringLookup(output_mode="one_hot")
    cities.adapt(["Rome", "Paris", "Rome"])
    codes = layers.IntegerLookup(vocabulary=[3, 5, 7])
    normal = layers.Normalization(axis=-1)
    normal.adapt(np.array([[20.0], [40.0], [70.0]]))
    bins = layers.Discretization(bin_boundaries=[18.0, 30.0, 65.0])
    hashed = layers.CategoryEncoding(4, output_mode="one_hot")(layers.Hashing(4)(city))
    one_hot = layers.CategoryEncoding(4, output_mode="multi_hot")(bins(age))
    coded = layers.Flatten()(layers.Embedding(5, 3)(codes(code)))
    x = layers.Concatenate()([cities(city), normal(age), one_hot, coded, hashed])
    inputs = {"city": city, "age": age, "code": code}
    values = {"city": tf.constant([["Rome"], ["Oslo"]]), "age": tf.constant([[25.0], [66.0]])}
    return k.Model(inputs, layers.Dense(1, "sigmoid")(x)), {**values, "code": tf.constant([[5], [9]], tf.int64)}


@of_list
def augmentation(k, rng):
    layers = k.layers
    stack = [
        layers.Rescaling(1 / 127.5, offset=-1, input_shape=(20, 20, 3)),
        layers.RandomFlip(),
        layers.Resizing(16, 16),
    ]
    stack += [layers.RandomZoom(0.1), layers.RandomContrast(0.1), layers.RandomTranslation(0.1, 0.1)]
    stack += [layers.CenterCrop(12, 12), layers.RandomBrightness(0.2), layers.GaussianNoise(0.1), layers.Flatten()]
    return k.Sequential([*stack, layers.Dense(2)]), 255 * pictures(rng, 2, 20, 20, 3)


@of_list
def operators(k, rng):
    """Return a model with operators and functions of TensorFlow between its layers."""
    layers = k.layers
    image = k.Input((6, 6, 3))
    x = tf.nn.relu(layers.Conv2D(4, 3)(image / 255.0 - [0.4, 0.5, 0.6]))
    mean = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    x = tf.concat([x * tf.sigmoid(mean), tf.square(x) ** 0.5, -x], axis=-1)
    x = tf.reshape(x, [-1, 16, 12])
    x = tf.matmul(x, x, transpose_b=True) + tf.expand_dims(tf.reduce_sum(x, -1), 1)
    x = tf.nn.l2_normalize(tf.transpose(x, [0, 2, 1]), axis=-1)
    x = tf.where(x > 0.1, x, tf.clip_by_value(1.0 - x, 0.0, 0.5))
    return k.Model(image, tf.nn.softmax(layers.Dense(3)(tf.squeeze(x[:, :1], axis=1)))), 255 * pictures(rng, 2, 6, 6, 3)


@of_list
def slicing(k, rng):
    layers = k.layers
    row = k.Input((6, 4))
    x = layers.LSTM(5, return_sequences=True)(row)
    last, backward, middle = x[:, -1, :], x[:, ::-1, :2], x[:, 1:5:2, :, tf.newaxis]
    x = layers.Concatenate()([last, layers.Flatten()(backward), layers.Flatten()(middle), x[:, :, 0]])
    first, second = tf.split(layers.Dense(4)(x), 2, axis=-1)
    return k.Model(row, tf.stack([first, second], axis=1)), numbers(rng, 2, 6, 4)


@of_list
def initialized(k, rng):
    layers, start = k.layers, k.initializers
    image = k.Input((8, 8, 2))
    settings = {"kernel_regularizer": k.regularizers.L1L2(1e-4, 1e-3), "kernel_constraint": k.constraints.MaxNorm(2)}
    x = layers.Conv2D(4, 3, kernel_initializer=start.VarianceScaling(2.0, mode="fan_out"), **settings)(image)
    x = layers.Conv2D(4, 3, kernel_initializer=start.HeNormal(seed=1), bias_initializer=tf.constant_initializer(0.1))(x)
    x = layers.BatchNormalization(gamma_initializer=start.RandomUniform(0.5, 1), gamma_regularizer="l2")(x)
    x = layers.Dense(5, kernel_initializer=start.Orthogonal(), activity_regularizer="l2")(layers.Flatten()(x))
    x = layers.Dense(5, kernel_initializer=start.Identity(), kernel_regularizer=k.regularizers.OrthogonalRegularizer())(
        x
    )
    return k.Model(image, layers.Dense(2, kernel_initializer=start.TruncatedNormal(0.0, 0.02))(x)), numbers(
        rng, 2, 8, 8, 2
    )


@of_list
def mixed_precision(k, rng):
    layers = k.layers
    half = k.mixed_precision.Policy("mixed_float16")
    image = k.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, dtype=half)(image)
    x = layers.Activation("relu", dtype=half)(layers.BatchNormalization(dtype=half)(x))
    x = layers.GlobalAveragePooling2D(dtype=half)(x)
    return k.Model(image, layers.Dense(3, "softmax", dtype="float32")(x)), pictures(rng, 2, 8, 8, 3)


@of_list
def names_with_slashes(k, rng):
    layers = k.layers
    image = k.Input((8, 8, 3), name="tower/image")
    x = layers.Conv2D(4, 3, name="tower/conv1/conv")(image)
    x = layers.BatchNormalization(name="tower/conv1/bn")(x)
    x = layers.Activation("relu", name="tower/conv1_conv")(x)
    x = layers.Flatten(name="tower/flat")(x)
    inner = k.Sequential([layers.Dense(3, name="a/b"), layers.BatchNormalization(name="a/c")], name="in/ner")
    return k.Model(image, inner(x), name="to/wer"), pictures(rng, 2, 8, 8, 3)


@of_list
def siamese(k, rng):
    layers = k.layers
    tower = k.Sequential([layers.Conv2D(3, 3, input_shape=(6, 6, 1)), layers.BatchNormalization(), layers.Flatten()])
    left, right = k.Input((6, 6, 1), name="left"), k.Input((6, 6, 1), name="right")
    scale = layers.Dense(4, "tanh", name="shared")
    distance = tf.abs(scale(tower(left)) - scale(tower(right)))
    return k.Model([left, right], layers.Dense(1, "sigmoid")(distance)), [
        pictures(rng, 2, 6, 6, 1),
        pictures(rng, 2, 6, 6, 1),
    ]


@of_list
def several_inputs_and_outputs(k, rng):
    layers = k.layers
    image, row = k.Input((6, 6, 1), name="image"), k.Input((4,), name="row")
    x = layers.Concatenate()([layers.Flatten()(image), layers.Dense(3)(row)])
    merged = [layers.Dense(4, name=f"branch_{n}")(x) for n in range(3)]
    merged = [layers.Multiply()(merged), layers.Average()(merged), layers.Maximum()(merged), layers.Minimum()(merged)]
    x = layers.Subtract()([merged[0], layers.Add()(merged[1:])])
    outputs = {"kind": layers.Dense(3, "softmax", name="kind")(x), "size": layers.Dense(1, name="size")(x)}
    return k.Model([image, row], outputs), [pictures(rng, 2, 6, 6, 1), numbers(rng, 2, 4)]


@of_list
def locally_connected(k, rng):
    layers = k.layers
    image = k.Input((7, 7, 2))
    x = layers.LocallyConnected2D(3, 3, activation="relu")(image)
    x = layers.LocallyConnected1D(4, 5, strides=2)(layers.Reshape((25, 3))(x))
    return k.Model(image, layers.Dense(2)(layers.Flatten()(x))), pictures(rng, 2, 7, 7, 2)


@of_list
def mobile_net_v3(k, rng):
    model = k.applications.MobileNetV3Small((32, 32, 3), alpha=0.35, weights=None, classes=5, dropout_rate=0.1)
    return model, 255 * pictures(rng, 1, 32, 32, 3)


@of_list
def u_net(k, rng):
    layers = k.layers
    scan = k.Input((None, None, 1))
    down = layers.Conv2D(4, 3, padding="same", activation="relu")(scan)
    x = layers.Conv2D(6, 3, 2, padding="same", activation=layers.LeakyReLU(0.2))(down)
    x = layers.Concatenate()(
        [layers.Conv2DTranspose(4, 2, 2)(x), down, layers.UpSampling2D(interpolation="bilinear")(x)]
    )
    return k.Model(scan, layers.Conv2D(1, 1, activation="sigmoid")(x)), pictures(rng, 2, 8, 8, 1)


@of_list
def one_and_three_dimensions(k, rng):
    layers = k.layers
    volume, signal = k.Input((6, 6, 6, 1)), k.Input((12, 2))
    x = layers.GlobalMaxPooling3D()(layers.Conv3D(3, 3)(layers.ZeroPadding3D(1)(volume)))
    y = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(layers.Cropping1D(1)(signal))
    y = layers.GlobalAveragePooling1D()(layers.UpSampling1D(2)(layers.MaxPooling1D(2, padding="same")(y)))
    z = layers.Permute((2, 1))(layers.Masking(0.0)(signal))
    model = k.Model([volume, signal], layers.Dense(2)(layers.Concatenate()([x, y, layers.Flatten()(z)])))
    return model, [pictures(rng, 2, 6, 6, 6, 1), numbers(rng, 2, 12, 2)]


@of_list
def activations(k, rng):
    layers = k.layers
    row = x = k.Input((6, 5))
    for activation in ("hard_sigmoid", "swish", "selu", "softsign", "exponential", "mish", "softplus", "elu"):
        x = layers.Dense(5, activation)(x)
    x = layers.LeakyReLU(alpha=0.2)(layers.PReLU(shared_axes=[1])(layers.ELU(0.7)(x)))
    x = layers.Softmax(axis=[1, 2])(layers.ReLU(6.0, negative_slope=0.1, threshold=0.2)(x))
    x = layers.Activation(tf.nn.silu)(layers.UnitNormalization()(layers.GroupNormalization(5)(x)))
    return k.Model(row, layers.ThresholdedReLU(theta=0.1)(x)), numbers(rng, 2, 6, 5)


@of_list
def autoencoder_with_losses(k, rng):
    """Return a variational autoencoder whose losses and metrics are layers that lead to no output."""
    layers = k.layers
    image = k.Input((6, 6, 1))
    hidden = layers.Dense(8, "relu")(layers.Flatten()(image))
    mean, spread = layers.Dense(3, name="mean")(hidden), layers.Dense(3, name="spread")(hidden)
    x = layers.Dense(36, "sigmoid")(mean + 0 * tf.exp(0.5 * spread) * tf.random.normal(tf.shape(mean)))
    model = k.Model(image, [layers.Reshape((6, 6, 1))(x), mean])
    divergence = -0.5 * tf.reduce_mean(1 + spread - tf.square(mean) - tf.exp(spread))
    model.add_loss(divergence + tf.reduce_mean(k.losses.binary_crossentropy(layers.Flatten()(image), x)))
    model.add_metric(divergence, name="divergence")
    return model, pictures(rng, 2, 6, 6, 1)


def lambda_layer(k, rng):
    layers = k.layers
    return k.Sequential([layers.Lambda(lambda x: x * 2, input_shape=(4,)), layers.Dense(2)]), numbers(rng, 2, 4)
