"""What the shop sells and what the clinic treats: fixed lists that the generators draw from."""

from __future__ import annotations

CATEGORIES: dict[str, tuple[str, tuple[str, ...], tuple[int, int]]] = {
    # name: (description, products, range of prices in dollars)
    "Kitchen": (
        "Cookware and kitchen machines",
        ("Pressure cooker", "Steel kadhai", "Mixer grinder", "Rice cooker", "Knife set", "Tea kettle"),
        (12, 140),
    ),
    "Home": (
        "Furniture, linen and lamps",
        ("Desk lamp", "Cotton bedsheet", "Bookshelf", "Wall clock", "Jute rug", "Ceiling fan"),
        (9, 220),
    ),
    "Books": (
        "Printed books",
        ("Cookbook", "Atlas", "Poetry collection", "Crime novel", "History of India", "Picture book"),
        (5, 45),
    ),
    "Electronics": (
        "Devices and what belongs to them",
        ("Headphones", "Bluetooth speaker", "Power bank", "Webcam", "Keyboard", "Tablet"),
        (15, 420),
    ),
    "Clothing": (
        "Clothes for everybody",
        ("Cotton kurta", "Silk saree", "Denim jacket", "Linen shirt", "Wool scarf", "Rain coat"),
        (11, 160),
    ),
    "Shoes": (
        "Shoes and sandals",
        ("Running shoes", "Leather sandals", "Hiking boots", "Canvas shoes", "Slippers", "Kolhapuri chappals"),
        (8, 130),
    ),
    "Toys": (
        "Toys and games",
        ("Wooden train", "Chess set", "Building blocks", "Puzzle", "Carrom board", "Kite"),
        (4, 70),
    ),
    "Groceries": (
        "Food that keeps",
        ("Basmati rice", "Masala tea", "Filter coffee", "Mango pickle", "Olive oil", "Dark chocolate"),
        (3, 30),
    ),
    "Beauty": (
        "Care for skin and hair",
        ("Coconut hair oil", "Sandalwood soap", "Sunscreen", "Face cream", "Henna powder", "Lip balm"),
        (3, 40),
    ),
    "Sports": (
        "Sports and outdoors",
        ("Cricket bat", "Yoga mat", "Badminton racket", "Dumbbells", "Football", "Camping tent"),
        (7, 190),
    ),
    "Garden": (
        "Plants and tools",
        ("Watering can", "Clay pot", "Garden hose", "Pruning shears", "Tulsi plant", "Seed box"),
        (4, 60),
    ),
    "Stationery": (
        "Paper and pens",
        ("Fountain pen", "Notebook", "Sketch pad", "Desk calendar", "Ink set", "School bag"),
        (2, 55),
    ),
}

EDITIONS = ("", "Classic", "Plus", "Deluxe", "Mini")

STORE_NAMES = ("Market", "Station", "Mall", "Garden", "Bridge", "Harbour", "Park")

COMPANY_WORDS = (
    "Himalaya",
    "Sahyadri",
    "Ganga",
    "Lotus",
    "Pacific",
    "Liberty",
    "Banyan",
    "Kaveri",
    "Hudson",
    "Sunrise",
)
COMPANY_KINDS = ("Traders", "Industries", "Textiles", "Foods", "Electronics", "Supply", "Exports", "Works")

TITLES = {
    # title: range of salaries per year, in dollars
    "Cashier": (14_000, 24_000),
    "Sales assistant": (15_000, 27_000),
    "Warehouse clerk": (15_000, 25_000),
    "Buyer": (28_000, 52_000),
    "Accountant": (30_000, 60_000),
    "Support agent": (18_000, 32_000),
}
MANAGER_SALARY = (48_000, 92_000)
DIRECTOR_SALARY = 185_000

DEPARTMENTS = (
    "General medicine",
    "Cardiology",
    "Dermatology",
    "Paediatrics",
    "Orthopaedics",
    "Neurology",
    "Ophthalmology",
    "Gynaecology",
    "Psychiatry",
    "Pulmonology",
)

DIAGNOSES = {
    # department: ICD-10 codes (World Health Organization) with their names
    "General medicine": (
        ("J06.9", "Upper respiratory infection"),
        ("A90", "Dengue fever"),
        ("E11.9", "Type 2 diabetes"),
        ("R50.9", "Fever"),
        ("K29.7", "Gastritis"),
    ),
    "Cardiology": (("I10", "High blood pressure"), ("I20.9", "Angina pectoris"), ("I48.9", "Atrial fibrillation")),
    "Dermatology": (("L20.9", "Atopic dermatitis"), ("L40.0", "Psoriasis"), ("L70.0", "Acne")),
    "Paediatrics": (("B01.9", "Chickenpox"), ("J21.9", "Bronchiolitis"), ("H66.9", "Middle ear infection")),
    "Orthopaedics": (("M54.5", "Low back pain"), ("S52.5", "Fracture of the lower arm"), ("M17.9", "Knee arthrosis")),
    "Neurology": (("G43.9", "Migraine"), ("G40.9", "Epilepsy"), ("G47.0", "Insomnia")),
    "Ophthalmology": (("H10.9", "Conjunctivitis"), ("H25.9", "Cataract"), ("H40.9", "Glaucoma")),
    "Gynaecology": (("N92.0", "Heavy menstruation"), ("E28.2", "Polycystic ovaries"), ("O80", "Delivery")),
    "Psychiatry": (("F32.1", "Depression"), ("F41.1", "Anxiety disorder"), ("F43.1", "Post-traumatic stress")),
    "Pulmonology": (("J45.9", "Asthma"), ("J44.9", "Chronic obstructive lung disease"), ("A15.0", "Tuberculosis")),
}

MEDICINES = (
    # name, form, price of a pack in dollars
    ("Paracetamol 500 mg", "tablet", "1.20"),
    ("Ibuprofen 400 mg", "tablet", "2.10"),
    ("Amoxicillin 500 mg", "capsule", "4.80"),
    ("Azithromycin 250 mg", "tablet", "6.40"),
    ("Metformin 850 mg", "tablet", "3.30"),
    ("Insulin glargine", "injection", "31.00"),
    ("Amlodipine 5 mg", "tablet", "2.70"),
    ("Atorvastatin 20 mg", "tablet", "5.10"),
    ("Bisoprolol 2.5 mg", "tablet", "3.90"),
    ("Salbutamol", "inhaler", "7.60"),
    ("Budesonide", "inhaler", "14.20"),
    ("Cetirizine 10 mg", "tablet", "1.90"),
    ("Hydrocortisone 1%", "cream", "4.40"),
    ("Adapalene 0.1%", "cream", "8.90"),
    ("Omeprazole 20 mg", "capsule", "3.60"),
    ("Oral rehydration salts", "powder", "0.80"),
    ("Cough syrup", "syrup", "2.30"),
    ("Sertraline 50 mg", "tablet", "9.70"),
    ("Levetiracetam 500 mg", "tablet", "12.50"),
    ("Sumatriptan 50 mg", "tablet", "11.10"),
    ("Folic acid 5 mg", "tablet", "1.10"),
    ("Vitamin D3", "capsule", "3.80"),
    ("Diclofenac gel", "cream", "3.20"),
    ("Timolol eye drops", "drops", "6.70"),
)
