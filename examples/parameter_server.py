"""A parameter server: workers train one model together, whose weights live in sharded actors.

The model is a softmax regression on made-up data. Each shard is an actor with a slice of the weights. In each step every worker
gets the weights of all shards, computes the gradient of its part of the data, and the shards apply the mean of these gradients.
So the result does not depend on which worker is faster, and equals that of a serial run but for rounding.

    python examples/parameter_server.py [--workers 4] [--shards 2] [--steps 60] [--png loss.png]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

import ray_lite as ray

Array = NDArray[np.float64]
FEATURES, CLASSES = 64, 10
RATE = 0.5  # of learning


@ray.remote(num_cpus=0)
class Shard:
    """A slice of the weights."""

    def __init__(self, weights: Array) -> None:
        self.weights = weights.copy()  # arguments are read-only views of the store

    def get(self) -> Array:
        """The slice."""
        return self.weights

    def apply(self, *gradients: Array) -> Array:
        """Takes a step against the mean of the workers' gradients; the new slice."""
        self.weights = self.weights - RATE * sum(gradients) / len(gradients)
        return self.weights


@ray.remote
class Trainer:
    """A worker with its part of the data."""

    def __init__(self, part: int, parts: int) -> None:
        features, labels = data()
        self.features, self.labels = features[part::parts], labels[part::parts]

    def step(self, *slices: Array) -> list[Array]:
        """The gradient for these weights, in slices, and the loss of this part as an array of one."""
        gradient, loss = gradient_of(np.concatenate(slices), self.features, self.labels)
        return [*np.array_split(gradient, len(slices)), np.array([loss])]


def data(samples: int = 4_000) -> tuple[Array, NDArray[np.int64]]:
    """Made-up features, and the labels that a hidden model with noise gives them."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(samples, FEATURES))
    scores = features @ rng.normal(size=(FEATURES, CLASSES)) + rng.normal(scale=2.0, size=(samples, CLASSES))
    return features, scores.argmax(axis=1)


def gradient_of(weights: Array, features: Array, labels: NDArray[np.int64]) -> tuple[Array, float]:
    """The gradient of the mean cross-entropy by the weights, and the mean cross-entropy."""
    scores = features @ weights
    scores -= scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(shares[rows, labels]).mean()
    shares[rows, labels] -= 1
    return features.T @ shares / len(labels), float(loss)


def train(workers: int, shards: int, steps: int) -> tuple[Array, list[float]]:
    """Trains with actors; the weights and the loss of each step."""
    slices = np.array_split(np.zeros((FEATURES, CLASSES)), shards)
    servers = [Shard.remote(part) for part in slices]
    trainers = [Trainer.remote(part, workers) for part in range(workers)]
    weights = [server.get.remote() for server in servers]
    losses = []
    for _ in range(steps):
        steps_made = [trainer.step.options(num_return_vals=shards + 1).remote(*weights) for trainer in trainers]
        weights = [server.apply.remote(*(made[part] for made in steps_made)) for part, server in enumerate(servers)]
        losses.append([made[-1] for made in steps_made])
    return np.concatenate(ray.get(weights)), [float(np.mean(ray.get(step))) for step in losses]


def train_serially(workers: int, steps: int) -> tuple[Array, list[float]]:
    """The same without ray_lite."""
    features, labels = data()
    weights, losses = np.zeros((FEATURES, CLASSES)), []
    for _ in range(steps):
        found = [gradient_of(weights, features[part::workers], labels[part::workers]) for part in range(workers)]
        weights = weights - RATE * sum(gradient for gradient, _ in found) / workers
        losses.append(float(np.mean([loss for _, loss in found])))
    return weights, losses


def curve(losses: list[float], width: int = 60, height: int = 12) -> str:
    """The losses as a plot of characters."""
    chosen = [losses[k * len(losses) // width] for k in range(width)] if len(losses) > width else losses
    low, high = min(chosen), max(chosen)
    rows = [round((high - loss) / (high - low or 1) * (height - 1)) for loss in chosen]
    lines = ["".join("*" if row == line else " " for row in rows).rstrip() for line in range(height)]
    labels = [f"{high:6.3f} |"] + ["       |"] * (height - 2) + [f"{low:6.3f} |"]
    return "\n".join(label + line for label, line in zip(labels, lines, strict=True))


def save_png(path: str, losses: list[float]) -> None:
    """Draws the losses into a file, if matplotlib is there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no PNG: matplotlib is not installed")
        return
    figure = Figure()
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    axes.plot(losses)
    figure.savefig(path)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--shards", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--png", help="file for the curve, too")
    options = parser.parse_args()
    ray.init()
    try:
        weights, losses = train(options.workers, options.shards, options.steps)
    finally:
        ray.shutdown()
    print(curve(losses))
    if options.png:
        save_png(options.png, losses)
    expected, _ = train_serially(options.workers, options.steps)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; farthest from a serial run: {np.abs(weights - expected).max():.1e}")


if __name__ == "__main__":
    main()
