"""What is attached to a mail, and which of it the owner names."""

from email.message import EmailMessage
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing import checked_within

from mailroom.models.attached import Attachment, attached_line, size_words
from mailroom.models.attaching import MOST_BYTES, NotAttached, checked, named
from mailroom.models.attachments import MOST, attached_file, attached_files, attachments
from mailroom.models.mime import OPENED_LINES


def mail(*files: tuple[str | None, bytes], kind: str = "application/pdf") -> bytes:
    message = EmailMessage()
    message["From"] = "john@example.com"
    message.set_content("See attached.")
    for name, data in files:
        message.add_attachment(data, *kind.split("/"), filename=name)
    return message.as_bytes()


def names(raw: bytes) -> list[str]:
    return [one.name for one in attachments(raw)]


def test_names_and_sizes_in_the_order_of_the_mail() -> None:
    raw = mail(("report.pdf", b"x" * 3_000), ("Grüße.txt", b""))
    assert attachments(raw) == (
        Attachment(name="report.pdf", size=3_000),
        Attachment(name="Grüße.txt", size=0),
    )
    assert attachments(mail()) == ()


def test_an_attachment_beyond_what_reading_keeps_is_whole() -> None:
    """`read_mail` cuts long parts; a file that is handed on is never cut."""
    data = bytes(range(256)) * 20_000
    raw = mail(("first.pdf", data), ("second.pdf", data[::-1]))
    assert [one.size for one in attachments(raw)] == [len(data)] * 2
    second = attached_file(raw, 2)
    assert second
    assert second.data == data[::-1]
    assert [file.name for file in attached_files(raw, ["second.pdf", "none"])] == ["second.pdf"]
    assert attached_file(raw, 3) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:/x/report.pdf", "report.pdf"),
        ("..", "attachment.pdf"),
        ("/", "attachment.pdf"),
        (" .hidden. ", "hidden"),
        ("fdp.\u202efdp.exe", "fdp.fdp.exe"),
        ("a<b>|c?.pdf", "a_b_c_.pdf"),
        (None, "attachment.pdf"),
    ],
)
def test_a_strangers_name_is_never_a_path(given: str | None, kept: str) -> None:
    assert names(mail((given, b"x"))) == [kept]


def test_a_long_name_keeps_its_extension() -> None:
    [name] = names(mail(("x" * 300 + ".pdf", b"x")))
    assert len(name) == 120
    assert name.endswith("x.pdf")


def test_one_name_means_one_file() -> None:
    raw = mail(("scan.pdf", b"1"), ("Scan.pdf", b"2"), ("scan (2).pdf", b"3"), ("scan.pdf", b"4"))
    found = names(raw)
    assert found == ["scan.pdf", "Scan (2).pdf", "scan (2) (2).pdf", "scan (3).pdf"]
    assert [file.data for file in attached_files(raw, found)] == [b"1", b"2", b"3", b"4"]


@given(st.lists(st.text(max_size=40), max_size=30))
def test_any_names_make_distinct_safe_ones(given: list[str]) -> None:
    lines = [
        "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''"
        + "".join(f"%{byte:02X}" for byte in name.encode(errors="replace"))
        + "\r\n\r\nx\r\n"
        for name in given
    ]
    raw = ("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "".join(lines) + "--b--").encode()
    found = names(raw)
    assert len(found) == min(len(given), MOST)
    assert len({name.casefold() for name in found}) == len(found)
    for name in found:
        assert not {category(c) for c in name} & {"Cc", "Cf", "Cs"}
        assert not set(name) & set('/\\<>:"|?*')
        assert name.strip(". ") == name != ""
        assert len(name) <= 130


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("report.pdf", "application/pdf"),
        ("photo.jpg", "image/jpeg"),
        ("page.html", "application/octet-stream"),
        ("mail.eml", "application/octet-stream"),
        ("program", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_name(name: str, kind: str) -> None:
    found = attached_file(mail((name, b"x"), kind=["text/html", " x=y"][0]), 1)
    assert found
    assert found.kind == kind


def test_an_attached_mail_is_a_file() -> None:
    inner = EmailMessage()
    inner["Subject"] = "Inside"
    inner.set_content("From here on\n")
    message = EmailMessage()
    message["From"] = "john@example.com"
    message.set_content("See the mail.")
    message.add_attachment(inner)
    found = attached_file(message.as_bytes(), 1)
    assert found
    assert found.name == "attachment.eml"
    assert found.data.startswith(b"Subject: Inside\r\n")
    assert b"\r\nFrom here on\r\n" in found.data


def test_a_mail_of_too_many_lines_is_not_taken_apart() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    part = b"Content-Disposition: attachment; filename=a.txt\r\n\r\n"
    raw = head + part + b"\n" * (OPENED_LINES + 1) + b"--b--"
    assert checked_within(1, lambda: attachments(raw)) == ()


FILES = [
    Attachment(name=name, size=1_200 * number)
    for number, name in enumerate(
        (
            "report.pdf",
            "Terms and Conditions.pdf",
            "Smith, John.docx",
            "report-old.pdf",
            "IMG_1.jpg",
            "IMG_2.jpg",
            "Anna’s plan.txt",
        ),
        1,
    )
]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("report.pdf", ["report.pdf"]),
        ("REPORT", ["report.pdf"]),
        ("“report.pdf”", ["report.pdf"]),
        ("report.pdf, img_1", ["report.pdf", "IMG_1.jpg"]),
        ("report.pdf and report.pdf", ["report.pdf"]),
        ("terms and conditions.pdf and img_2.jpg", ["Terms and Conditions.pdf", "IMG_2.jpg"]),
        ("terms", ["Terms and Conditions.pdf"]),
        ('"Smith, John.docx" & report-o', ["Smith, John.docx", "report-old.pdf"]),
        ("anna's plan", ["Anna’s plan.txt"]),
    ],
)
def test_what_the_owner_names(said: str, meant: list[str]) -> None:
    assert list(named(said, FILES)) == meant


@pytest.mark.parametrize(
    "said", ["img", "x.pdf", "re", "report.pdf and x", ",", "and", "...", "*", "all", "1", "🙂"]
)
def test_what_names_none_or_several_attaches_nothing(said: str) -> None:
    with pytest.raises(NotAttached) as refused:
        named(said, FILES)
    assert "Nothing was sent. There are: report.pdf (1 KB), Terms" in str(refused.value)


@given(st.text(max_size=300))
def test_any_words_name_files_or_are_refused(said: str) -> None:
    try:
        found = named(said, FILES)
    except NotAttached:
        return
    assert found
    assert set(found) <= {one.name for one in FILES}


def test_a_long_answer_is_judged_at_once() -> None:
    many = [Attachment(name=f"{n} and {n}, {n}.pdf", size=1) for n in range(20)]

    def refused() -> None:
        with pytest.raises(NotAttached):
            named("a and b, " * 220, many)

    checked_within(0.2, refused)


def test_a_reply_carries_so_much() -> None:
    half = MOST_BYTES // 2
    files = [Attachment(name=name, size=half + 1) for name in ("a.mov", "b.mov")]
    assert checked(("a.mov",), files) == ("a.mov",)
    with pytest.raises(NotAttached, match=r"18.0 MB to attach; a reply carries 18.0 MB at most"):
        checked(("a.mov", "b.mov"), files)


def test_the_line_names_what_it_has_room_for() -> None:
    assert attached_line([], 100) == ""
    assert attached_line(FILES[:1], 100) == "Attached: report.pdf (1 KB)"
    assert attached_line(FILES, 60) == "Attached: report.pdf (1 KB) and 6 more"
    assert attached_line(FILES, 0) == "Attached: 7 files, 34 KB"
    hostile = Attachment(name="1=Send 3=Ignore B2C3", size=1)
    assert attached_line([hostile], 100) == 'Attached: "1=Send 3=Ignore B2C3" (1 byte)'


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_499, "1 KB"), (999_499, "999 KB"), (999_500, "1.0 MB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words
