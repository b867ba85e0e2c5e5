"""Calls of TensorFlow functions and operators as Keras 2 records them, each of a table, a picture and whole numbers."""

import tensorflow as tf

CALLS = (
    *(lambda x, p, i: x + 1, lambda x, p, i: 1 - x, lambda x, p, i: 2 * x, lambda x, p, i: 1e-7 + x),
    *(lambda x, p, i: 1 / (x + 9), lambda x, p, i: x // 2, lambda x, p, i: x % 2, lambda x, p, i: -abs(x)),
    *(lambda x, p, i: 2**x, lambda x, p, i: x**2, lambda x, p, i: x @ tf.ones((4, 2)), lambda x, p, i: i + i),
    *(lambda x, p, i: ~(x > 1), lambda x, p, i: (x > 0) & (x < 1), lambda x, p, i: (x >= 0) | (x <= -1)),
    *(lambda x, p, i: tf.reduce_mean(x, 1), lambda x, p, i: tf.reduce_sum(p, axis=[1, 2], keepdims=True)),
    *(
        lambda x, p, i: tf.reduce_max(x, -1),
        lambda x, p, i: tf.math.reduce_std(x, 1),
        lambda x, p, i: tf.norm(x, axis=1),
    ),
    *(lambda x, p, i: tf.reduce_logsumexp(x, 1), lambda x, p, i: tf.reduce_any(x > 1, axis=1)),
    *(lambda x, p, i: tf.argmax(x, 1), lambda x, p, i: tf.nn.top_k(x, 2), lambda x, p, i: tf.sort(x)),
    *(lambda x, p, i: tf.exp(x), lambda x, p, i: tf.math.log1p(tf.square(x)), lambda x, p, i: tf.math.rsqrt(abs(x))),
    *(lambda x, p, i: tf.maximum(x, 0.0), lambda x, p, i: tf.math.divide_no_nan(x, x), lambda x, p, i: tf.round(x)),
    *(lambda x, p, i: tf.clip_by_value(x, 0, 1), lambda x, p, i: tf.math.cumsum(x, 1), lambda x, p, i: tf.math.erf(x)),
    *(lambda x, p, i: tf.nn.relu6(x), lambda x, p, i: tf.nn.leaky_relu(x, 0.3), lambda x, p, i: tf.nn.gelu(x)),
    *(lambda x, p, i: tf.nn.silu(x), lambda x, p, i: tf.nn.softmax(x), lambda x, p, i: tf.nn.log_softmax(x, axis=0)),
    *(lambda x, p, i: tf.nn.l2_normalize(x, 1), lambda x, p, i: tf.nn.moments(x, [1]), lambda x, p, i: tf.tanh(x)),
    *(lambda x, p, i: tf.nn.max_pool2d(p, 2, 1, "SAME"), lambda x, p, i: tf.nn.avg_pool(p, 2, 2, "VALID")),
    *(lambda x, p, i: tf.nn.conv2d(p, tf.ones((2, 2, 1, 3)), 1, "SAME"), lambda x, p, i: tf.nn.space_to_depth(p, 2)),
    *(
        lambda x, p, i: tf.nn.depth_to_space(tf.reshape(x, [-1, 1, 1, 4]), 2),
        lambda x, p, i: tf.nn.bias_add(x, [1.0] * 4),
    ),
    *(lambda x, p, i: tf.image.resize(p, (4, 6)), lambda x, p, i: tf.image.resize(p, tf.shape(p)[1:3] * 2)),
    *(lambda x, p, i: tf.image.flip_left_right(p), lambda x, p, i: tf.image.grayscale_to_rgb(p)),
    *(lambda x, p, i: tf.image.per_image_standardization(p), lambda x, p, i: tf.image.central_crop(p, 0.5)),
    *(
        lambda x, p, i: tf.transpose(x),
        lambda x, p, i: tf.transpose(p, [0, 3, 1, 2]),
        lambda x, p, i: tf.squeeze(p, axis=3),
    ),
    *(lambda x, p, i: tf.pad(p, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT"), lambda x, p, i: tf.tile(x, [1, 2])),
    *(lambda x, p, i: tf.repeat(x, 2, axis=1), lambda x, p, i: tf.reverse(x, [1]), lambda x, p, i: tf.roll(x, 1, 1)),
    *(
        lambda x, p, i: tf.gather(x, [0, 2], axis=1),
        lambda x, p, i: tf.gather_nd(x, [[0, 0]]),
        lambda x, p, i: tf.cast(x, "int32"),
    ),
    *(lambda x, p, i: tf.one_hot(i, 6), lambda x, p, i: tf.nn.embedding_lookup(tf.reshape(tf.range(12.0), (6, 2)), i)),
    *(lambda x, p, i: tf.concat([x, x], 1), lambda x, p, i: tf.stack([x]), lambda x, p, i: tf.unstack(x, axis=1)),
    *(
        lambda x, p, i: tf.split(x, [1, 3], axis=1),
        lambda x, p, i: tf.where(x > 0, x, 0.0),
        lambda x, p, i: tf.zeros_like(x),
    ),
    *(
        lambda x, p, i: tf.ones((tf.shape(x)[0], 3)),
        lambda x, p, i: tf.fill(tf.shape(x), 2.0),
        lambda x, p, i: tf.size(x),
    ),
    *(lambda x, p, i: tf.range(tf.shape(x)[0]), lambda x, p, i: tf.eye(tf.shape(x)[1]), lambda x, p, i: tf.shape(x)),
    *(lambda x, p, i: tf.reshape(x, [tf.shape(x)[0], 2, 2]), lambda x, p, i: tf.broadcast_to(x[:1], tf.shape(x))),
    *(lambda x, p, i: tf.reshape(x, tf.concat([tf.shape(x)[:1], [2, 2]], 0)), lambda x, p, i: tf.expand_dims(x, -1)),
    *(lambda x, p, i: tf.matmul(x, x, transpose_b=True), lambda x, p, i: tf.tensordot(x, tf.ones((4, 2)), 1)),
    *(lambda x, p, i: tf.linalg.band_part(x, -1, 0), lambda x, p, i: tf.linalg.inv(tf.reshape(x, [-1, 2, 2]))),
    *(lambda x, p, i: x[:, 1], lambda x, p, i: x[0], lambda x, p, i: x[:, ::-1], lambda x, p, i: x[:, None, 1:3]),
    *(lambda x, p, i: x[:, tf.shape(x)[1] - 1], lambda x, p, i: x[x > 0], lambda x, p, i: tf.slice(x, [0, 1], [-1, 2])),
    *(
        lambda x, p, i: tf.boolean_mask(x, [True, False, True, True], axis=1),
        lambda x, p, i: tf.sequence_mask(i[:, 0], 5),
    ),
    *(lambda x, p, i: tf.signal.frame(x, 2, 1), lambda x, p, i: tf.abs(tf.signal.stft(x, 2, 1))),
    lambda x, p, i: tf.math.add_n([x, x]),
)
"""Functions of a table ``(batch, 4)``, a picture ``(batch, 2, 2, 1)`` and whole numbers ``(batch, 3)``."""
