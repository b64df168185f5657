"""The words that give a name away: titles, what a person is to the business, what only a person has or does.

Plain vocabulary in English, Hindi, Marathi and Tamil, all lower case; `privacy.names` reads it. A cue says where a
name starts or ends, not how far it reaches.
"""

from __future__ import annotations

from proxy.privacy import vocabulary

_VOCABULARY = vocabulary.read("cues")

TITLES = _VOCABULARY["titles"]
"""What follows is a name, whatever it looks like, unless questions are made of it."""

WEAK_TITLES = _VOCABULARY["weak_titles"]
"""What follows is a name if it is capitalised or no ordinary word."""

ROLES = _VOCABULARY["roles"]
"""A name may follow: taken if it is capitalised or no ordinary word."""

NAMING = _VOCABULARY["naming"]
"""A name follows, behind a verb or a sign: "named X", "name is X", "name = X"."""

NAMING_LINKS = _VOCABULARY["naming_links"]

NAMED_AFTER = _VOCABULARY["named_after"]
"""A name stands before: "X नाम का ग्राहक", "X என்பவரின்"."""

HONORIFICS = _VOCABULARY["honorifics"]
"""A name stands before: "Asha ji", "आशा राव यांचे", "ரமேஷ் அவர்களின்"."""

THINGS = _VOCABULARY["things"]
"""What may be named and is nobody: "product named X" is no cue."""

BELONGINGS = _VOCABULARY["belongings"]
"""What only a person has, or mostly: "X's email", "email of X", "X का ईमेल"."""

PRIVATE_BELONGINGS = BELONGINGS - _VOCABULARY["shared_belongings"]
"""Those that an unknown capitalised word after "of" or "for" is taken for a person by."""

DEEDS = _VOCABULARY["deeds"]
"""What a person does: "did X buy"."""

DONE_BY = DEEDS | _VOCABULARY["done_by"]
"""What is done by a person: "prescribed by X", "assigned to X"."""

POSTPOSITIONS = _VOCABULARY["postpositions"]
"""Hindi: what stands right behind a noun phrase."""

AUXILIARIES = _VOCABULARY["auxiliaries"]
"""English: what stands before the person who does: "did X buy"."""

QUOTE_CUES = _VOCABULARY["quote_cues"]
"""A quoted name may follow, as it does after a role or a sign of equality."""

PARTICLES = _VOCABULARY["particles"]
"""Lower-case parts inside a name."""
