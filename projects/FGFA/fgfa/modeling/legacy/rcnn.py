"""The single-frame model of the original."""

from detectron2.modeling import META_ARCH_REGISTRY, GeneralizedRCNN
from detectron2.structures import Instances

from fgfa.modeling.postprocess import postprocess
from fgfa.modeling.scaled_images import ScaledImageList


@META_ARCH_REGISTRY.register()
class LegacyRCNN(GeneralizedRCNN):
    """`GeneralizedRCNN` whose boxes come back by the factor that resized the frame.

    Inputs with an `image_scale` have their boxes divided by it, and RoI heads are given it. All
    else, checkpoints as well, is as in `GeneralizedRCNN`.
    """

    def preprocess_image(self, batched_inputs: list[dict]) -> ScaledImageList:
        """See Detectron2's `GeneralizedRCNN`."""
        images = super().preprocess_image(batched_inputs)
        scales = [item.get("image_scale", 1.0) for item in batched_inputs]
        return ScaledImageList(images.tensor, images.image_sizes, scales)

    def inference(
        self,
        batched_inputs: list[dict],
        detected_instances: list[Instances] | None = None,
        do_postprocess: bool = True,
    ) -> list[dict] | list[Instances]:
        """See Detectron2's `GeneralizedRCNN`."""
        results = super().inference(batched_inputs, detected_instances, do_postprocess=False)
        return postprocess(results, batched_inputs) if do_postprocess else results
