import pytest
from detectron2.structures import BoxMode

from fgfa.data.annotation_xml import read_annotation
from fgfa.errors import InputError

BOX = "<bndbox><xmin>4</xmin><ymin>5.5</ymin><xmax>70</xmax><ymax>9</ymax></bndbox>"
CATEGORIES = {"n1": 0, "n2": 1}


@pytest.fixture
def write(tmp_path):
    def write(body, size="<size><width>60</width><height>40</height></size>"):
        path = tmp_path / "000000.xml"
        path.write_text(f"<annotation>{size}{body}</annotation>")
        return str(path)

    return write


def test_objects_in_the_order_of_the_file(write):
    path = write(
        f"<object><name>n2</name><trackid>3</trackid>{BOX}<occluded>1</occluded></object>"
        f"<object><name>n1</name>{BOX}</object>"
    )
    annotation = read_annotation(path, CATEGORIES)
    box = {"bbox": [4.0, 5.5, 70.0, 9.0], "bbox_mode": BoxMode.XYXY_ABS}
    assert (annotation.height, annotation.width) == (40, 60)
    assert annotation.objects == [
        {**box, "category_id": 1, "track_id": 3, "occluded": 1},
        {**box, "category_id": 0},
    ]


def test_objects_of_other_classes_are_left_out(write):
    annotation = read_annotation(write("<object><name>n3</name></object>"), CATEGORIES)
    assert annotation.objects == []
    assert annotation.other_names == ["n3"]


def test_frame_without_objects(write):
    assert read_annotation(write(""), CATEGORIES).objects == []


def test_box_of_one_pixel(write):
    box = BOX.replace("70", "4")
    (annotation,) = read_annotation(
        write(f"<object><name>n1</name>{box}</object>"), {"n1": 0}
    ).objects
    assert annotation["bbox"] == [4.0, 5.5, 4.0, 9.0]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<name>n1</name>", "no <bndbox>"),
        (BOX, "<name> is missing"),
        (f"<name>n1</name>{BOX.replace('4', '71')}", "71, 5.5, 70, 9 .* ends before it begins"),
        (f"<name>n1</name>{BOX.replace('9', '5')}", "ends before it begins"),
        (f"<name>n1</name>{BOX.replace('70', 'x')}", "<bndbox><xmax> is 'x'"),
        (f"<name>n1</name>{BOX.replace('70', 'nan')}", "<bndbox><xmax> is 'nan'"),
        (f"<name>n1</name>{BOX.replace('<xmin>4</xmin>', '')}", "<bndbox><xmin> is missing"),
        (f"<name>n1</name><trackid>a</trackid>{BOX}", "<trackid> is 'a'"),
    ],
)
def test_malformed_object_is_named(write, body, problem):
    path = write(f"<object><name>n3</name></object><object>{body}</object>")
    with pytest.raises(InputError, match=rf"000000\.xml, object 2: .*{problem}"):
        read_annotation(path, CATEGORIES)


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ("", "<size><height> is missing"),
        ("<size><width>60</width><height>0</height></size>", "60x0 pixels"),
    ],
)
def test_frame_without_a_size(write, size, problem):
    with pytest.raises(InputError, match=rf"000000\.xml: .*{problem}"):
        read_annotation(write("", size), CATEGORIES)


@pytest.mark.parametrize(
    "text",
    [
        "<annotation><size><width>60</wid",
        "",
        '<!DOCTYPE a [<!ENTITY e "x">]><annotation>&e;</annotation>',
    ],
    ids=["truncated", "empty", "entities"],
)
def test_unreadable_file(tmp_path, text):
    path = tmp_path / "000000.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"000000\.xml: not a complete XML file"):
        read_annotation(str(path), CATEGORIES)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"000000\.xml: the annotation file cannot be read"):
        read_annotation(str(tmp_path / "000000.xml"), CATEGORIES)
