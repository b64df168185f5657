"""Where the demo's people live: cities with their state, its code, and the languages that are spoken there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

INDIA = "India"
UNITED_STATES = "United States"

ENGLISH, HINDI, MARATHI, TAMIL = "English", "Hindi", "Marathi", "Tamil"
LANGUAGES = (ENGLISH, HINDI, MARATHI, TAMIL)


@dataclass(frozen=True, slots=True)
class Place:
    """`code` is the state's in the GST in India, the telephone area code in the United States."""

    city: str
    state: str
    country: str
    code: str
    languages: tuple[str, ...]
    """To draw from: one that stands twice is spoken twice as often."""


_HINDI_STATES = {
    ("Delhi", "07"): ("New Delhi",),
    ("Uttar Pradesh", "09"): ("Lucknow", "Varanasi", "Kanpur", "Agra"),
    ("Rajasthan", "08"): ("Jaipur", "Udaipur", "Jodhpur"),
    ("Madhya Pradesh", "23"): ("Bhopal", "Indore", "Gwalior"),
    ("Bihar", "10"): ("Patna", "Gaya"),
}
_MARATHI_STATES = {("Maharashtra", "27"): ("Pune", "Mumbai", "Nagpur", "Nashik", "Kolhapur", "Satara")}
_TAMIL_STATES = {("Tamil Nadu", "33"): ("Chennai", "Madurai", "Coimbatore", "Salem", "Tiruchirappalli")}
_OTHER_STATES = {
    ("Karnataka", "29"): ("Bengaluru", "Mysuru"),
    ("Telangana", "36"): ("Hyderabad",),
    ("West Bengal", "19"): ("Kolkata",),
    ("Gujarat", "24"): ("Ahmedabad", "Surat"),
    ("Kerala", "32"): ("Kochi",),
}
_AMERICAN_STATES = {
    ("California", "415"): ("San Francisco", "Oakland"),
    ("New York", "212"): ("New York", "Albany"),
    ("Texas", "512"): ("Austin", "San Antonio"),
    ("Illinois", "312"): ("Chicago",),
    ("Washington", "206"): ("Seattle",),
    ("Massachusetts", "617"): ("Boston",),
    ("New Jersey", "732"): ("Edison",),
    ("Georgia", "404"): ("Atlanta",),
}


def _places(
    states: Mapping[tuple[str, str], tuple[str, ...]], country: str, languages: tuple[str, ...]
) -> tuple[Place, ...]:
    return tuple(
        Place(city, state, country, code, languages) for (state, code), cities in states.items() for city in cities
    )


INDIAN_PLACES = (
    *_places(_HINDI_STATES, INDIA, (HINDI, HINDI, ENGLISH)),
    *_places(_MARATHI_STATES, INDIA, (MARATHI, MARATHI, HINDI, ENGLISH)),
    *_places(_TAMIL_STATES, INDIA, (TAMIL, TAMIL, ENGLISH)),
    *_places(_OTHER_STATES, INDIA, (ENGLISH, HINDI)),
)
AMERICAN_PLACES = _places(_AMERICAN_STATES, UNITED_STATES, (ENGLISH,))
