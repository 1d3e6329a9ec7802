"""Names of a ResNet as torchvision and most PyTorch implementations give them."""

from collections.abc import Iterator

from fgfa.convert.name_table import Rule, Transform, identity


def stem_rules(
    prefix: str, target: str, variance: Transform = identity, note: str = ""
) -> Iterator[Rule]:
    """The rules of the first convolution and its batch norm.

    Args:
        prefix: regular expression of what stands before `conv1` and `bn1`.
        target: our name of the ResNet, with a dot at the end.
        variance: what becomes of running variances.
        note: what `variance` does.
    """
    yield Rule(rf"{prefix}conv1\.weight", f"{target}stem.conv1.weight")
    yield from _norm_rules(rf"{prefix}bn1", f"{target}stem.conv1", variance, note)


def stage_rules(
    prefix: str, target: str, variance: Transform = identity, note: str = ""
) -> Iterator[Rule]:
    """The rules of a stage of bottleneck blocks, of any number.

    Args:
        prefix: regular expression of the stage, such as `layer1`.
        target: our name of it, such as `backbone.body.res2`.
        variance: what becomes of running variances.
        note: what `variance` does.
    """
    block = rf"{prefix}\.(\d+)"
    yield Rule(rf"{block}\.conv(\d)\.weight", rf"{target}.\1.conv\2.weight")
    yield from _norm_rules(rf"{block}\.bn(\d)", rf"{target}.\1.conv\2", variance, note)
    yield Rule(rf"{block}\.downsample\.0\.weight", rf"{target}.\1.shortcut.weight")
    yield from _norm_rules(rf"{block}\.downsample\.1", rf"{target}.\1.shortcut", variance, note)


def _norm_rules(prefix: str, target: str, variance: Transform, note: str) -> Iterator[Rule]:
    yield Rule(rf"{prefix}\.(?P<kind>weight|bias|running_mean)", rf"{target}.norm.\g<kind>")
    yield Rule(rf"{prefix}\.running_var", f"{target}.norm.running_var", variance, note)
    yield Rule(rf"{prefix}\.num_batches_tracked", None, note="counts training steps")
