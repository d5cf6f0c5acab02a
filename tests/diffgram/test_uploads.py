"""Uploads in pieces: what is sent, what is sent again, and where an interrupted one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.diffgram import MIN_CHUNK, DiffgramClient, UploadState, maybe_delivered, safe_name
from diffgram_flows.errors import InvalidRequest, RateLimited, ServerError, ServerUnreachable

Server = Any  # servers.scripted.ScriptedServer
GOOD = {"success": True}
SIZE = 2 * MIN_CHUNK + 1000


@pytest.fixture(scope="module")
def content() -> bytes:
    return b"".join(bytes([number]) * 1000 for number in range(256)) * (SIZE // 256_000 + 1)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "up big (1).png"
    file.write_bytes(content[:SIZE])
    return file


def fields(sent: Any) -> dict[str, str]:
    return {name: value.decode() for name, (file, value) in sent.parts.items() if file is None}


def chunks(server: Server) -> list[tuple[str, int]]:
    """The pieces that arrived: a letter for each upload id, and the number."""
    uuids = list(dict.fromkeys(fields(sent)["dzuuid"] for sent in server.sent))
    return [("abcdef"[uuids.index(fields(sent)["dzuuid"])], int(fields(sent)["dzchunkindex"])) for sent in server.sent]


def test_a_file_arrives_in_pieces(server: Server, client: DiffgramClient, path: Path) -> None:
    server.answer(GOOD)
    told: list[tuple[int, int]] = []
    done = client.upload_in_chunks(
        path, directory_id=2, job_id=7, batch_id=5, progress=lambda done, total, note="": told.append((done, total))
    )
    assert (done.name, done.finished, done.count) == ("up_big_1.png", True, 3)
    assert {sent.path for sent in server.sent} == {"/api/walrus/project/contract-project/upload/large"}
    assert b"".join(sent.parts["file"][1] for sent in server.sent) == path.read_bytes()
    assert {sent.parts["file"][0] for sent in server.sent} == {"up_big_1.png"}
    assert fields(server.sent[1]) == {
        "dzuuid": done.uuid,
        "dzchunkindex": "1",
        "dztotalfilesize": str(SIZE),
        "dzchunksize": str(MIN_CHUNK),
        "dztotalchunkcount": "3",
        "dzchunkbyteoffset": str(MIN_CHUNK),
        "directory_id": "2",
        "source": "from_resumable",
        "input_batch_id": "5",
        "job_id": "7",
    }
    assert told == [(MIN_CHUNK, SIZE), (2 * MIN_CHUNK, SIZE), (SIZE, SIZE)]


def test_a_piece_that_may_have_arrived_means_a_new_upload_from_the_start(
    server: Server, client: DiffgramClient, path: Path
) -> None:
    server.answer(GOOD).answer(reset=True).answer(GOOD)
    assert client.upload_in_chunks(path, directory_id=2).finished
    assert chunks(server) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)]
    assert b"".join(sent.parts["file"][1] for sent in server.sent[2:]) == path.read_bytes()


def test_a_last_piece_that_may_have_arrived_is_not_sent_again(
    server: Server, client: DiffgramClient, path: Path
) -> None:
    server.answer(GOOD).answer(GOOD).answer(reset=True)
    with pytest.raises(ServerUnreachable, match=r"'up_big_1\.png'.*piece 3 of 3.*look at the server") as caught:
        client.upload_in_chunks(path, directory_id=2)
    assert chunks(server) == [("a", 0), ("a", 1), ("a", 2)]
    assert maybe_delivered(caught.value)
    state = UploadState.of(caught.value)
    assert state is not None
    assert (state.sent, state.uncertain, state.at_last_chunk) == (2, True, True)


def test_a_server_that_breaks_every_connection_is_given_up(server: Server, client: DiffgramClient, path: Path) -> None:
    server.answer(reset=True)
    with pytest.raises(ServerUnreachable):
        client.upload_in_chunks(path, directory_id=2)
    assert chunks(server) == [("a", 0), ("b", 0), ("c", 0)]  # retries=2


def test_a_refused_piece_is_the_place_where_a_second_call_goes_on(server: Server, make_client: Any, path: Path) -> None:
    server.answer(GOOD).answer({"error": "429 Too Many Requests: 4 per 1 second"}, status=429)
    with pytest.raises(RateLimited) as caught:
        make_client(retries=0).upload_in_chunks(path, directory_id=2)
    state = UploadState.of(caught.value)
    assert state is not None
    state = UploadState.from_json(state.to_json())
    assert (state.sent, state.uncertain) == (1, False)
    server.reset()
    server.answer(GOOD)
    done = make_client().upload_in_chunks(path, directory_id=2, state=state)
    assert done.uuid == state.uuid
    assert [fields(sent)["dzchunkindex"] for sent in server.sent] == ["1", "2"]
    assert b"".join(sent.parts["file"][1] for sent in server.sent) == path.read_bytes()[MIN_CHUNK:]


def test_a_429_is_waited_for_within_the_call(server: Server, client: DiffgramClient, path: Path) -> None:
    server.answer(GOOD).answer({"error": "429"}, status=429).answer(GOOD)
    assert client.upload_in_chunks(path, directory_id=2).finished
    assert chunks(server) == [("a", 0), ("a", 1), ("a", 1), ("a", 2)]


def states_of(server: Server, client: DiffgramClient, path: Path) -> list[UploadState]:
    kept: list[UploadState] = []
    server.answer(GOOD)
    client.upload_in_chunks(path, directory_id=2, keep=kept.append)
    server.reset()
    server.answer(GOOD)
    return kept


def test_the_state_is_told_before_and_after_every_piece(server: Server, client: DiffgramClient, path: Path) -> None:
    kept = states_of(server, client, path)
    assert [(state.sent, state.uncertain) for state in kept] == [
        *((0, True), (1, False), (1, True), (2, False), (2, True), (3, False))
    ]


def test_after_a_crash_between_two_pieces_the_upload_goes_on(
    server: Server, client: DiffgramClient, path: Path
) -> None:
    between = states_of(server, client, path)[1]
    assert client.upload_in_chunks(path, directory_id=2, state=between).uuid == between.uuid
    assert len(server.sent) == 2


def test_after_a_crash_within_a_piece_it_starts_anew(server: Server, client: DiffgramClient, path: Path) -> None:
    within = states_of(server, client, path)[2]
    assert client.upload_in_chunks(path, directory_id=2, state=within).uuid != within.uuid
    assert len(server.sent) == 3


@pytest.mark.parametrize("change", ["content", "size", "name"])
def test_another_file_starts_anew(server: Server, client: DiffgramClient, path: Path, change: str) -> None:
    between = states_of(server, client, path)[1]
    name = None
    if change == "content":
        path.write_bytes(b"x" + path.read_bytes()[1:])
    elif change == "size":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        name = "other.png"
    done = client.upload_in_chunks(path, name=name, directory_id=2, state=between)
    assert done.uuid != between.uuid
    assert len(server.sent) == 3


def test_a_finished_upload_is_not_repeated(server: Server, client: DiffgramClient, path: Path) -> None:
    done = states_of(server, client, path)[-1]
    assert client.upload_in_chunks(path, directory_id=2, state=done) == done
    assert server.sent == []


def test_a_failure_of_the_server_on_the_last_piece_is_told(server: Server, make_client: Any, path: Path) -> None:
    server.answer(GOOD).answer(GOOD).answer({"error": ""}, status=500)
    with pytest.raises(ServerError, match="piece 3 of 3") as caught:
        make_client().upload_in_chunks(path, directory_id=2)
    assert len(server.sent) == 3
    assert maybe_delivered(caught.value)


@pytest.mark.parametrize("said", ["list index out of range", "'frame_packet_map'"], ids=["label", "key"])
def test_a_wrong_batch_is_named(server: Server, client: DiffgramClient, tmp_path: Path, said: str) -> None:
    (tmp_path / "btu_2.jpg").write_bytes(b"x")
    server.answer({"error": said}, status=500)
    with pytest.raises(InvalidRequest, match=r"pre-labels of the upload 'btu_2\.jpg'.*label name"):
        client.upload_in_chunks(tmp_path / "btu_2.jpg", directory_id=2, batch_id=5)


@pytest.mark.parametrize(
    ("name", "kept_as"),
    [("a.jpg", "a.jpg"), ("sp ace (1).png", "sp_ace_1.png"), ("A-1_b.tar.gz", "A-1_b.tar.gz"), ("a  b.jpg", "a_b.jpg")],
)
def test_the_name_that_the_server_keeps(name: str, kept_as: str) -> None:
    assert safe_name(name) == kept_as


@pytest.mark.parametrize(
    "name", ["größe.jpg", "a/b.jpg", "noext", "_a.jpg", ".jpg", "a+b.jpg", "L" * 250 + ".jpg", "", "(1).png/../x"]
)
def test_a_name_whose_fate_is_unknown_is_refused(server: Server, client: DiffgramClient, path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="does not suit"):
        client.upload_in_chunks(path, name=name, directory_id=2)
    assert server.sent == []


def test_files_that_cannot_be_sent(server: Server, client: DiffgramClient, tmp_path: Path, path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for given, settings, words in (
        (tmp_path / "missing.png", {}, r"missing\.png.*cannot be read"),
        (tmp_path / "empty.png", {}, r"empty\.png.*empty"),
        (path, {"chunk_size": MIN_CHUNK - 1}, "Pieces of 5242879 bytes"),
        (path, {"chunk_size": 250 * 2**20}, "Pieces of"),
    ):
        with pytest.raises(InvalidRequest, match=words) as caught:
            client.upload_in_chunks(given, directory_id=2, **settings)  # type: ignore[arg-type]
        assert caught.value.__context__ is None
    assert server.sent == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[1]", '{"uuid": 1, "new": 2}', "null"),
        '{"uuid": "a", "name": "b", "size": "10", "chunk_size": 5}',
        '{"uuid": "a", "name": "b", "size": 10, "chunk_size": 0}',
        '{"uuid": "a", "name": "b", "size": 10, "chunk_size": 5, "sent": -1}',
        '{"uuid": "a", "name": "b", "size": 10, "chunk_size": 5, "uncertain": 1}',
    ],
)
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="state of an upload"):
        UploadState.from_json(text)


def test_pieces_are_paced(server: Server, make_client: Any, path: Path) -> None:
    waited: list[str] = []

    class Counting:
        def wait(self, endpoint: str) -> None:
            waited.append(endpoint)

    server.answer(GOOD)
    make_client(pacer=Counting()).upload_in_chunks(path, directory_id=2)
    assert waited == ["upload/large"] * 3
