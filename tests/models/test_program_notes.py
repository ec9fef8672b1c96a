import pytest

from rampart.models.program_notes import ProgramNotes


def test_notes_are_read_as_written():
    notes = ProgramNotes(["a", "ä, b"], [3, 8, 8], [0.5] * 3, [0.25] * 3, "squash")
    assert ProgramNotes.read(notes.text()) == notes
    assert ProgramNotes.read(notes.text().encode()) == notes
    assert notes.namings() == [["a", "ä, b"]]


@pytest.mark.parametrize("text", [None, "", b"", "no JSON", "[1]", '{"other": 1}', b"\xff"])
def test_a_note_of_another_program_says_nothing(text):
    assert ProgramNotes.read(text) == ProgramNotes()
    assert ProgramNotes().namings() == []
