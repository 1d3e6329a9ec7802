import base64

from fgfa.report.markup import Html, element, image, join, table


def test_text_is_escaped_and_markup_is_not():
    inner = element("b", "1 < 2")
    assert element("p", "a & b ", inner) == "<p>a &amp; b <b>1 &lt; 2</b></p>"
    assert join("<", Html("<br>")) == "&lt;<br>"


def test_attributes_are_escaped():
    assert element("p", class_='"x"') == '<p class="&quot;x&quot;"></p>'


def test_elements_without_end():
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_table_names_its_rows():
    text = table(["a", "b"], [["<x>", "1"]])
    assert '<th scope="col">b</th>' in text
    assert '<tr><th scope="row">&lt;x&gt;</th><td>1</td></tr>' in text


def test_image_is_part_of_the_page():
    text = image(b"data", "image/png", "a <dog>")
    assert f'src="data:image/png;base64,{base64.b64encode(b"data").decode()}"' in text
    assert 'alt="a &lt;dog&gt;"' in text
