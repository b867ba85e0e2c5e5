"""Everything that nnviz3d computes beyond a forward pass: one module and one entry for each capability.

Importing this package loads no library: command-line help reads it. Modules here import NumPy and Zarr for type checks
alone, or inside functions.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnviz3d.data.capabilities.attention import ATTENTION, AttentionFields
from nnviz3d.data.capabilities.attributions import ATTRIBUTIONS, AttributionFields
from nnviz3d.data.capabilities.capability import Capability
from nnviz3d.data.capabilities.embeddings import EMBEDDINGS, EmbeddingFields
from nnviz3d.data.capabilities.examples import EXAMPLES, ExampleFields
from nnviz3d.data.capabilities.features import FEATURES, FeatureFields
from nnviz3d.data.capabilities.gradients import GRADIENTS, GradientFields
from nnviz3d.data.capabilities.interventions import INTERVENTIONS, InterventionFields
from nnviz3d.data.capabilities.landscape import LANDSCAPE, LandscapeFields
from nnviz3d.data.capabilities.targets import TARGETS, TargetFields

CAPABILITIES: tuple[Capability, ...] = (
    TARGETS,
    GRADIENTS,
    ATTRIBUTIONS,
    ATTENTION,
    INTERVENTIONS,
    FEATURES,
    EXAMPLES,
    EMBEDDINGS,
    LANDSCAPE,
)
"""All capabilities, in the order in which they are computed and their options are listed."""


@dataclass(frozen=True, kw_only=True)
class InsightFields(
    TargetFields,
    GradientFields,
    AttributionFields,
    AttentionFields,
    InterventionFields,
    FeatureFields,
    ExampleFields,
    EmbeddingFields,
    LandscapeFields,
):
    """The fields of the request of all capabilities; see `nnviz3d.data.request.Insights`."""


def without_labels(insights: InsightFields) -> str:
    """Return one sentence on what of a request cannot be computed from a data set without labels; else nothing."""
    return next((one.without_labels for one in CAPABILITIES if one.without_labels and one.wanted(insights)), "")


def uses_dataset(insights: InsightFields) -> bool:
    """Whether anything in a request is computed from its data set."""
    return any(capability.dataset_option and capability.wanted(insights) for capability in CAPABILITIES)
