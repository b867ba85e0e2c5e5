"""Train a small transformer that reads the sentiment of sentences, and save it as ``text.keras``.

    python examples/train_text.py
    nnviz3d serve text.keras --classes text.txt --input "that film was never dull but the ending was not very good"

The script makes the sentences: one or two clauses such as "the ending was not very good". A negation turns its adjective
around. In "A but B" the second clause decides, in "A although B" the first one, so that the order of the words matters.
Training takes about half a minute, and downloads nothing.

Writes ``text.keras`` (the network, with its vocabulary) and ``text.txt`` (the names of the two classes).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CLASSES = ("negative", "positive")
SUBJECTS = [
    f"{a} {b}" for a in ("the", "that", "this") for b in ("film", "story", "music", "ending", "actor", "camera")
]
VERBS = ("was", "is", "felt", "seemed")
NEGATIONS = ("not", "never", "hardly")
DEGREES = ("very", "really", "so")
ADJECTIVES = (
    ("dull", "bad", "slow", "weak", "boring", "awful", "poor"),
    ("good", "great", "clever", "moving", "funny", "lovely", "brilliant"),
)
"""Negative adjectives, then positive ones."""
LENGTH = 12
"""Number of tokens of every sentence; shorter sentences are padded."""
WIDTH, HEADS, BLOCKS = 48, 4, 6
REQUIRED = 0.95
"""Minimum accuracy on sentences that were not used for training; a network below it is not saved."""
HELD_OUT = 500
EXAMPLE = "that film was never dull but the ending was not very good"


def clause(random: np.random.Generator) -> tuple[str, int]:
    """Return a clause, and its class: 0 negative, 1 positive."""
    positive = int(random.integers(2))
    words = [random.choice(SUBJECTS), random.choice(VERBS)]
    negated = random.random() < 0.5
    if negated:
        words.append(random.choice(NEGATIONS))
    if random.random() < 0.4:
        words.append(random.choice(DEGREES))
    words.append(random.choice(ADJECTIVES[positive]))
    return " ".join(words), positive ^ int(negated)


def sentence(random: np.random.Generator) -> tuple[str, int]:
    """Return a sentence of one or two clauses, and its class."""
    (first, of_first), (second, of_second) = clause(random), clause(random)
    form = random.random()
    if form < 0.2:
        return first, of_first
    if form < 0.6:
        return f"{first} although {second}", of_first
    return f"{first} but {second}", of_second


def block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Add one transformer block to a network: attention and a small dense network, each added to its input."""
    normal = layers.LayerNormalization(name=f"{name}_norm1")(x)
    attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")(normal, normal)
    x = layers.Add(name=f"{name}_add1")([x, attended])
    normal = layers.LayerNormalization(name=f"{name}_norm2")(x)
    wide = layers.Dense(2 * WIDTH, activation="gelu", name=f"{name}_expand")(normal)
    return layers.Add(name=f"{name}_add2")([x, layers.Dense(WIDTH, name=f"{name}_project")(wide)])


def text_transformer(words: layers.TextVectorization) -> keras.Model:
    """Build the network: a vocabulary, an embedding with positions, six blocks, the mean of the tokens, two classes."""
    start = keras.Input((), dtype="string", name="text")
    x = layers.Embedding(words.vocabulary_size(), WIDTH, name="embedding")(words(start))
    # The bias is one vector for each token: the position embedding.
    x = layers.EinsumDense(
        "btd,de->bte", (LENGTH, WIDTH), bias_axes="te", bias_initializer="uniform", name="positions"
    )(x)
    for i in range(BLOCKS):
        x = block(x, f"block{i + 1}")
    x = layers.GlobalAveragePooling1D(name="pool")(layers.LayerNormalization(name="last_norm")(x))
    return keras.Model(start, layers.Dense(2, activation="softmax", name="sentiment")(x), name="text")


def main() -> None:
    """Make sentences, train, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the two files")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sentences", type=int, default=5000, help="number of sentences for the training")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    random = np.random.default_rng(arguments.seed)
    texts, labels = zip(*(sentence(random) for _ in range(arguments.sentences + HELD_OUT)), strict=True)
    x, y = tf.constant(texts), np.array(labels)

    words = layers.TextVectorization(output_sequence_length=LENGTH, name="tokens")
    words.adapt(x)
    model = text_transformer(words)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    # The learning rate falls to zero over the epochs, which improves the accuracy by a few percent.
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 2e-3 * (1 - epoch / arguments.epochs))
    n = arguments.sentences
    model.fit(x[:n], y[:n], batch_size=64, epochs=arguments.epochs, callbacks=[schedule], verbose=2)
    _, accuracy = model.evaluate(x[n:], y[n:], verbose=0)
    print(f"Accuracy on {HELD_OUT} other sentences: {accuracy:.1%}; {model.count_params():,} parameters")
    if accuracy < REQUIRED:
        raise SystemExit(f"That is below {REQUIRED:.0%}, so nothing is saved; train for more epochs.")

    arguments.out.mkdir(parents=True, exist_ok=True)
    bare = text_transformer(words)  # without the optimizer, which would triple the size of the file
    bare.set_weights(model.get_weights())
    bare.save(arguments.out / "text.keras")
    (arguments.out / "text.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    shown = f'{arguments.out / "text.keras"} --classes {arguments.out / "text.txt"} --input "{EXAMPLE}"'
    print(f"To see it: nnviz3d serve {shown}")
    print(f"As a picture: nnviz3d snapshot {shown} --groups closed -o text.png")
    print(f"Which words it attends to: nnviz3d snapshot {shown} --scene attention -o attention.png")


if __name__ == "__main__":
    main()
