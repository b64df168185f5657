-- The demo database: a shop and a clinic. `proxy/demo/load.py` runs this as the account that the proxy uses,
-- fills the tables, and then runs what stands below the line "-- after the load".
-- Every table and column has a comment: it is what a model, and a newcomer, knows of it.

CREATE SCHEMA shop;
CREATE SCHEMA clinic;
COMMENT ON SCHEMA shop IS 'A shop with branches in India and the United States';
COMMENT ON SCHEMA clinic IS 'A group of clinics in India and the United States';

CREATE TYPE shop.order_status AS ENUM ('placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled');
CREATE TYPE shop.payment_method AS ENUM ('card', 'upi', 'cash', 'bank transfer');
CREATE TYPE shop.ticket_status AS ENUM ('open', 'waiting', 'closed');
CREATE TYPE clinic.visit_kind AS ENUM ('consultation', 'follow-up', 'emergency', 'vaccination', 'check-up');
CREATE TYPE clinic.severity AS ENUM ('mild', 'moderate', 'severe');
COMMENT ON TYPE shop.order_status IS 'How far an order is';
COMMENT ON TYPE shop.payment_method IS 'How a payment was made';
COMMENT ON TYPE shop.ticket_status IS 'How far a support ticket is';
COMMENT ON TYPE clinic.visit_kind IS 'Why a patient came';
COMMENT ON TYPE clinic.severity IS 'How serious a diagnosis is';

-- shop -------------------------------------------------------------------------------------------------------

CREATE TABLE shop.categories (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text NOT NULL
);
COMMENT ON TABLE shop.categories IS 'Product categories';
COMMENT ON COLUMN shop.categories.id IS 'Category number';
COMMENT ON COLUMN shop.categories.name IS 'Category name, such as Kitchen or Books';
COMMENT ON COLUMN shop.categories.description IS 'What is in the category';

CREATE TABLE shop.suppliers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    gstin text UNIQUE,
    contact_name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    country text NOT NULL
);
COMMENT ON TABLE shop.suppliers IS 'Companies that the shop buys its products from';
COMMENT ON COLUMN shop.suppliers.id IS 'Supplier number';
COMMENT ON COLUMN shop.suppliers.name IS 'Company name';
COMMENT ON COLUMN shop.suppliers.gstin IS 'Indian goods and services tax number (GSTIN); empty for suppliers in the United States';
COMMENT ON COLUMN shop.suppliers.contact_name IS 'Person to talk to';
COMMENT ON COLUMN shop.suppliers.email IS 'E-mail address of the contact';
COMMENT ON COLUMN shop.suppliers.phone IS 'Phone number of the contact';
COMMENT ON COLUMN shop.suppliers.city IS 'City';
COMMENT ON COLUMN shop.suppliers.state IS 'State';
COMMENT ON COLUMN shop.suppliers.country IS 'Country: India or United States';

CREATE TABLE shop.products (
    id integer PRIMARY KEY,
    category_id integer NOT NULL REFERENCES shop.categories,
    supplier_id integer NOT NULL REFERENCES shop.suppliers,
    name text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price > 0),
    stock integer NOT NULL,
    launched_on date NOT NULL
);
COMMENT ON TABLE shop.products IS 'What the shop sells';
COMMENT ON COLUMN shop.products.id IS 'Product number';
COMMENT ON COLUMN shop.products.category_id IS 'Category of the product';
COMMENT ON COLUMN shop.products.supplier_id IS 'Supplier of the product';
COMMENT ON COLUMN shop.products.name IS 'Product name';
COMMENT ON COLUMN shop.products.price IS 'Price today, in US dollars';
COMMENT ON COLUMN shop.products.stock IS 'Pieces in stock';
COMMENT ON COLUMN shop.products.launched_on IS 'Day on which the shop began to sell it';

CREATE TABLE shop.stores (
    id integer PRIMARY KEY,
    name text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    country text NOT NULL,
    opened_on date NOT NULL
);
COMMENT ON TABLE shop.stores IS 'Branches of the shop';
COMMENT ON COLUMN shop.stores.id IS 'Store number';
COMMENT ON COLUMN shop.stores.name IS 'Store name';
COMMENT ON COLUMN shop.stores.city IS 'City';
COMMENT ON COLUMN shop.stores.state IS 'State';
COMMENT ON COLUMN shop.stores.country IS 'Country: India or United States';
COMMENT ON COLUMN shop.stores.opened_on IS 'Day on which the store opened';

CREATE TABLE shop.employees (
    id integer PRIMARY KEY,
    store_id integer NOT NULL REFERENCES shop.stores,
    manager_id integer REFERENCES shop.employees,
    name text NOT NULL,
    title text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    birth_date date NOT NULL,
    hired_on date NOT NULL,
    salary numeric(10, 2) NOT NULL
);
COMMENT ON TABLE shop.employees IS 'People who work for the shop';
COMMENT ON COLUMN shop.employees.id IS 'Employee number';
COMMENT ON COLUMN shop.employees.store_id IS 'Store where the employee works';
COMMENT ON COLUMN shop.employees.manager_id IS 'The employee''s manager, empty for the managing director';
COMMENT ON COLUMN shop.employees.name IS 'Full name';
COMMENT ON COLUMN shop.employees.title IS 'Job title, such as Cashier or Store manager';
COMMENT ON COLUMN shop.employees.email IS 'E-mail address at work';
COMMENT ON COLUMN shop.employees.phone IS 'Mobile phone number';
COMMENT ON COLUMN shop.employees.birth_date IS 'Date of birth';
COMMENT ON COLUMN shop.employees.hired_on IS 'First day at work';
COMMENT ON COLUMN shop.employees.salary IS 'Salary per year, in US dollars';

CREATE TABLE shop.customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    country text NOT NULL,
    language text NOT NULL,
    birth_date date NOT NULL,
    pan text UNIQUE,
    ssn text UNIQUE,
    loyalty_points integer NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE shop.customers IS 'People who buy in the shop';
COMMENT ON COLUMN shop.customers.id IS 'Customer number';
COMMENT ON COLUMN shop.customers.name IS 'Full name, in the script of the customer''s language';
COMMENT ON COLUMN shop.customers.email IS 'E-mail address';
COMMENT ON COLUMN shop.customers.phone IS 'Mobile phone number';
COMMENT ON COLUMN shop.customers.city IS 'City where the customer lives';
COMMENT ON COLUMN shop.customers.state IS 'State where the customer lives';
COMMENT ON COLUMN shop.customers.country IS 'Country: India or United States';
COMMENT ON COLUMN shop.customers.language IS 'Language of the customer: English, Hindi, Marathi or Tamil';
COMMENT ON COLUMN shop.customers.birth_date IS 'Date of birth';
COMMENT ON COLUMN shop.customers.pan IS 'Indian tax number (PAN); empty in the United States';
COMMENT ON COLUMN shop.customers.ssn IS 'Social security number; empty in India';
COMMENT ON COLUMN shop.customers.loyalty_points IS 'Loyalty points collected so far';
COMMENT ON COLUMN shop.customers.created_at IS 'When the customer signed up';

CREATE TABLE shop.orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES shop.customers,
    store_id integer NOT NULL REFERENCES shop.stores,
    order_date date NOT NULL,
    status shop.order_status NOT NULL,
    total numeric(12, 2) NOT NULL
);
COMMENT ON TABLE shop.orders IS 'Orders of customers';
COMMENT ON COLUMN shop.orders.id IS 'Order number';
COMMENT ON COLUMN shop.orders.customer_id IS 'Customer who ordered';
COMMENT ON COLUMN shop.orders.store_id IS 'Store that sold';
COMMENT ON COLUMN shop.orders.order_date IS 'Day of the order';
COMMENT ON COLUMN shop.orders.status IS 'How far the order is';
COMMENT ON COLUMN shop.orders.total IS 'Amount of the whole order, in US dollars';

CREATE TABLE shop.order_items (
    id integer PRIMARY KEY,
    order_id integer NOT NULL REFERENCES shop.orders,
    product_id integer NOT NULL REFERENCES shop.products,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10, 2) NOT NULL,
    amount numeric(12, 2) GENERATED ALWAYS AS (quantity * unit_price) STORED
);
COMMENT ON TABLE shop.order_items IS 'Products of an order';
COMMENT ON COLUMN shop.order_items.id IS 'Item number';
COMMENT ON COLUMN shop.order_items.order_id IS 'Order that the item belongs to';
COMMENT ON COLUMN shop.order_items.product_id IS 'Product that was sold';
COMMENT ON COLUMN shop.order_items.quantity IS 'Pieces';
COMMENT ON COLUMN shop.order_items.unit_price IS 'Price of one piece when it was sold, in US dollars';
COMMENT ON COLUMN shop.order_items.amount IS 'Quantity times unit price, in US dollars';

CREATE TABLE shop.payments (
    id integer NOT NULL,
    order_id integer NOT NULL REFERENCES shop.orders,
    paid_on date NOT NULL,
    method shop.payment_method NOT NULL,
    amount numeric(12, 2) NOT NULL,
    card_number text,
    card_holder text,
    PRIMARY KEY (id, paid_on)
) PARTITION BY RANGE (paid_on);
COMMENT ON TABLE shop.payments IS 'Payments for orders; one partition per year';
COMMENT ON COLUMN shop.payments.id IS 'Payment number';
COMMENT ON COLUMN shop.payments.order_id IS 'Order that was paid';
COMMENT ON COLUMN shop.payments.paid_on IS 'Day of the payment';
COMMENT ON COLUMN shop.payments.method IS 'How it was paid';
COMMENT ON COLUMN shop.payments.amount IS 'Amount paid, in US dollars';
COMMENT ON COLUMN shop.payments.card_number IS 'Number of the card; empty unless paid by card';
COMMENT ON COLUMN shop.payments.card_holder IS 'Name on the card; empty unless paid by card';

CREATE TABLE shop.reviews (
    id integer PRIMARY KEY,
    product_id integer NOT NULL REFERENCES shop.products,
    customer_id integer NOT NULL REFERENCES shop.customers,
    rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    body text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE shop.reviews IS 'What customers wrote about products';
COMMENT ON COLUMN shop.reviews.id IS 'Review number';
COMMENT ON COLUMN shop.reviews.product_id IS 'Product reviewed';
COMMENT ON COLUMN shop.reviews.customer_id IS 'Customer who wrote it';
COMMENT ON COLUMN shop.reviews.rating IS 'Stars, 1 to 5';
COMMENT ON COLUMN shop.reviews.body IS 'Free text in the customer''s language; may mention people';
COMMENT ON COLUMN shop.reviews.created_at IS 'When it was written';

CREATE TABLE shop.tickets (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES shop.customers,
    employee_id integer REFERENCES shop.employees,
    opened_at timestamptz NOT NULL,
    status shop.ticket_status NOT NULL,
    subject text NOT NULL,
    message text NOT NULL
);
COMMENT ON TABLE shop.tickets IS 'Support tickets of customers';
COMMENT ON COLUMN shop.tickets.id IS 'Ticket number';
COMMENT ON COLUMN shop.tickets.customer_id IS 'Customer who asked for help';
COMMENT ON COLUMN shop.tickets.employee_id IS 'Employee who takes care of it, empty while nobody does';
COMMENT ON COLUMN shop.tickets.opened_at IS 'When the ticket was opened';
COMMENT ON COLUMN shop.tickets.status IS 'How far the ticket is';
COMMENT ON COLUMN shop.tickets.subject IS 'What it is about';
COMMENT ON COLUMN shop.tickets.message IS 'Free text in the customer''s language; mentions people, phone numbers and e-mail addresses';

CREATE VIEW shop.order_totals AS
    SELECT o.id AS order_id, o.customer_id, o.order_date, o.status,
           count(i.id) AS items, coalesce(sum(i.amount), 0) AS amount
    FROM shop.orders o LEFT JOIN shop.order_items i ON i.order_id = o.id
    GROUP BY o.id;
COMMENT ON VIEW shop.order_totals IS 'Orders with the number of their items and what these cost';
COMMENT ON COLUMN shop.order_totals.order_id IS 'Order number';
COMMENT ON COLUMN shop.order_totals.customer_id IS 'Customer who ordered';
COMMENT ON COLUMN shop.order_totals.order_date IS 'Day of the order';
COMMENT ON COLUMN shop.order_totals.status IS 'How far the order is';
COMMENT ON COLUMN shop.order_totals.items IS 'Number of items';
COMMENT ON COLUMN shop.order_totals.amount IS 'What the items cost together, in US dollars';

CREATE VIEW shop.monthly_sales AS
    SELECT date_trunc('month', order_date)::date AS month, count(*) AS order_count, sum(amount) AS revenue
    FROM shop.order_totals
    WHERE status NOT IN ('returned', 'cancelled')
    GROUP BY 1;
COMMENT ON VIEW shop.monthly_sales IS 'Sales per month, without returned and cancelled orders';
COMMENT ON COLUMN shop.monthly_sales.month IS 'First day of the month';
COMMENT ON COLUMN shop.monthly_sales.order_count IS 'Number of orders';
COMMENT ON COLUMN shop.monthly_sales.revenue IS 'Revenue, in US dollars';

CREATE VIEW shop.customer_contacts AS
    SELECT id AS customer_id, name, email, phone, city, coalesce(pan, ssn) AS tax_number
    FROM shop.customers;
COMMENT ON VIEW shop.customer_contacts IS 'How to reach a customer';
COMMENT ON COLUMN shop.customer_contacts.customer_id IS 'Customer number';
COMMENT ON COLUMN shop.customer_contacts.name IS 'Full name';
COMMENT ON COLUMN shop.customer_contacts.email IS 'E-mail address';
COMMENT ON COLUMN shop.customer_contacts.phone IS 'Mobile phone number';
COMMENT ON COLUMN shop.customer_contacts.city IS 'City where the customer lives';
COMMENT ON COLUMN shop.customer_contacts.tax_number IS 'PAN in India, social security number in the United States';

-- clinic -----------------------------------------------------------------------------------------------------

CREATE TABLE clinic.departments (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    floor integer NOT NULL
);
COMMENT ON TABLE clinic.departments IS 'Departments of the clinics';
COMMENT ON COLUMN clinic.departments.id IS 'Department number';
COMMENT ON COLUMN clinic.departments.name IS 'Department name, such as Cardiology';
COMMENT ON COLUMN clinic.departments.floor IS 'Floor where it is';

CREATE TABLE clinic.doctors (
    id integer PRIMARY KEY,
    department_id integer NOT NULL REFERENCES clinic.departments,
    name text NOT NULL,
    npi text UNIQUE,
    registration_number text UNIQUE,
    email text NOT NULL,
    phone text NOT NULL,
    city text NOT NULL,
    country text NOT NULL,
    joined_on date NOT NULL,
    CHECK ((npi IS NULL) <> (registration_number IS NULL))
);
COMMENT ON TABLE clinic.doctors IS 'Doctors of the clinics';
COMMENT ON COLUMN clinic.doctors.id IS 'Doctor number';
COMMENT ON COLUMN clinic.doctors.department_id IS 'Department where the doctor works';
COMMENT ON COLUMN clinic.doctors.name IS 'Full name';
COMMENT ON COLUMN clinic.doctors.npi IS 'National provider identifier (NPI); empty in India';
COMMENT ON COLUMN clinic.doctors.registration_number IS 'Number in the medical council''s register; empty in the United States';
COMMENT ON COLUMN clinic.doctors.email IS 'E-mail address at work';
COMMENT ON COLUMN clinic.doctors.phone IS 'Mobile phone number';
COMMENT ON COLUMN clinic.doctors.city IS 'City of the clinic where the doctor works';
COMMENT ON COLUMN clinic.doctors.country IS 'Country: India or United States';
COMMENT ON COLUMN clinic.doctors.joined_on IS 'First day at the clinic';

CREATE TABLE clinic.patients (
    id integer PRIMARY KEY,
    name text NOT NULL,
    gender text NOT NULL CHECK (gender IN ('female', 'male')),
    birth_date date NOT NULL,
    blood_group text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    city text NOT NULL,
    state text NOT NULL,
    country text NOT NULL,
    language text NOT NULL,
    aadhaar text UNIQUE,
    ssn text UNIQUE,
    emergency_contact text NOT NULL,
    registered_on date NOT NULL
);
COMMENT ON TABLE clinic.patients IS 'Patients of the clinics';
COMMENT ON COLUMN clinic.patients.id IS 'Patient number';
COMMENT ON COLUMN clinic.patients.name IS 'Full name, in the script of the patient''s language';
COMMENT ON COLUMN clinic.patients.gender IS 'female or male';
COMMENT ON COLUMN clinic.patients.birth_date IS 'Date of birth';
COMMENT ON COLUMN clinic.patients.blood_group IS 'Blood group, such as O+';
COMMENT ON COLUMN clinic.patients.email IS 'E-mail address';
COMMENT ON COLUMN clinic.patients.phone IS 'Mobile phone number';
COMMENT ON COLUMN clinic.patients.city IS 'City where the patient lives';
COMMENT ON COLUMN clinic.patients.state IS 'State where the patient lives';
COMMENT ON COLUMN clinic.patients.country IS 'Country: India or United States';
COMMENT ON COLUMN clinic.patients.language IS 'Language of the patient: English, Hindi, Marathi or Tamil';
COMMENT ON COLUMN clinic.patients.aadhaar IS 'Indian identity number (Aadhaar); empty in the United States';
COMMENT ON COLUMN clinic.patients.ssn IS 'Social security number; empty in India';
COMMENT ON COLUMN clinic.patients.emergency_contact IS 'Name and phone number of somebody to call';
COMMENT ON COLUMN clinic.patients.registered_on IS 'Day of the first registration';

CREATE TABLE clinic.visits (
    id integer PRIMARY KEY,
    patient_id integer NOT NULL REFERENCES clinic.patients,
    doctor_id integer NOT NULL REFERENCES clinic.doctors,
    visited_at timestamptz NOT NULL,
    kind clinic.visit_kind NOT NULL,
    fee numeric(8, 2) NOT NULL
);
COMMENT ON TABLE clinic.visits IS 'Visits of patients to doctors';
COMMENT ON COLUMN clinic.visits.id IS 'Visit number';
COMMENT ON COLUMN clinic.visits.patient_id IS 'Patient who came';
COMMENT ON COLUMN clinic.visits.doctor_id IS 'Doctor who saw the patient';
COMMENT ON COLUMN clinic.visits.visited_at IS 'When the visit began';
COMMENT ON COLUMN clinic.visits.kind IS 'Why the patient came';
COMMENT ON COLUMN clinic.visits.fee IS 'Fee for the visit, in US dollars';

CREATE TABLE clinic.diagnoses (
    id integer PRIMARY KEY,
    visit_id integer NOT NULL REFERENCES clinic.visits,
    code text NOT NULL,
    description text NOT NULL,
    severity clinic.severity NOT NULL
);
COMMENT ON TABLE clinic.diagnoses IS 'What doctors found at a visit';
COMMENT ON COLUMN clinic.diagnoses.id IS 'Diagnosis number';
COMMENT ON COLUMN clinic.diagnoses.visit_id IS 'Visit at which it was found';
COMMENT ON COLUMN clinic.diagnoses.code IS 'ICD-10 code';
COMMENT ON COLUMN clinic.diagnoses.description IS 'Name of the illness';
COMMENT ON COLUMN clinic.diagnoses.severity IS 'How serious it is';

CREATE TABLE clinic.medicines (
    id integer PRIMARY KEY,
    name text NOT NULL,
    form text NOT NULL,
    price numeric(8, 2) NOT NULL
);
COMMENT ON TABLE clinic.medicines IS 'Medicines that doctors prescribe';
COMMENT ON COLUMN clinic.medicines.id IS 'Medicine number';
COMMENT ON COLUMN clinic.medicines.name IS 'Name and strength';
COMMENT ON COLUMN clinic.medicines.form IS 'Form, such as tablet, capsule, syrup or inhaler';
COMMENT ON COLUMN clinic.medicines.price IS 'Price of a pack, in US dollars';

CREATE TABLE clinic.prescriptions (
    id integer PRIMARY KEY,
    visit_id integer NOT NULL REFERENCES clinic.visits,
    medicine_id integer NOT NULL REFERENCES clinic.medicines,
    doses_per_day integer NOT NULL,
    days integer NOT NULL
);
COMMENT ON TABLE clinic.prescriptions IS 'Medicines that were prescribed at a visit';
COMMENT ON COLUMN clinic.prescriptions.id IS 'Prescription number';
COMMENT ON COLUMN clinic.prescriptions.visit_id IS 'Visit at which it was prescribed';
COMMENT ON COLUMN clinic.prescriptions.medicine_id IS 'Medicine prescribed';
COMMENT ON COLUMN clinic.prescriptions.doses_per_day IS 'Doses per day';
COMMENT ON COLUMN clinic.prescriptions.days IS 'For how many days';

CREATE TABLE clinic.notes (
    id integer PRIMARY KEY,
    visit_id integer NOT NULL REFERENCES clinic.visits,
    doctor_id integer NOT NULL REFERENCES clinic.doctors,
    written_at timestamptz NOT NULL,
    body text NOT NULL
);
COMMENT ON TABLE clinic.notes IS 'Notes of doctors about a visit: the most private table here';
COMMENT ON COLUMN clinic.notes.id IS 'Note number';
COMMENT ON COLUMN clinic.notes.visit_id IS 'Visit that the note is about';
COMMENT ON COLUMN clinic.notes.doctor_id IS 'Doctor who wrote it';
COMMENT ON COLUMN clinic.notes.written_at IS 'When it was written';
COMMENT ON COLUMN clinic.notes.body IS 'Free text; mentions people, phone numbers, e-mail and identity numbers';

CREATE VIEW clinic.patient_directory AS
    SELECT id AS patient_id, name, gender, date_part('year', age(birth_date))::integer AS age, phone,
           coalesce(aadhaar, ssn) AS identity_number
    FROM clinic.patients;
COMMENT ON VIEW clinic.patient_directory IS 'Patients with their age and how to reach them';
COMMENT ON COLUMN clinic.patient_directory.patient_id IS 'Patient number';
COMMENT ON COLUMN clinic.patient_directory.name IS 'Full name';
COMMENT ON COLUMN clinic.patient_directory.gender IS 'female or male';
COMMENT ON COLUMN clinic.patient_directory.age IS 'Age in years';
COMMENT ON COLUMN clinic.patient_directory.phone IS 'Mobile phone number';
COMMENT ON COLUMN clinic.patient_directory.identity_number IS 'Aadhaar in India, social security number in the United States';

CREATE VIEW clinic.doctor_workload AS
    SELECT d.id AS doctor_id, d.name AS doctor_name, p.name AS department_name, count(v.id) AS visit_count
    FROM clinic.doctors d
    JOIN clinic.departments p ON p.id = d.department_id
    LEFT JOIN clinic.visits v ON v.doctor_id = d.id
    GROUP BY d.id, d.name, p.name;
COMMENT ON VIEW clinic.doctor_workload IS 'How many visits each doctor had';
COMMENT ON COLUMN clinic.doctor_workload.doctor_id IS 'Doctor number';
COMMENT ON COLUMN clinic.doctor_workload.doctor_name IS 'Full name of the doctor';
COMMENT ON COLUMN clinic.doctor_workload.department_name IS 'Department name';
COMMENT ON COLUMN clinic.doctor_workload.visit_count IS 'Number of visits';

-- after the load ---------------------------------------------------------------------------------------------

CREATE INDEX ON shop.products (category_id);
CREATE INDEX ON shop.customers (city);
CREATE INDEX ON shop.customers (name);
CREATE INDEX ON shop.orders (customer_id);
CREATE INDEX ON shop.orders (order_date);
CREATE INDEX ON shop.order_items (order_id);
CREATE INDEX ON shop.order_items (product_id);
CREATE INDEX ON shop.payments (order_id);
CREATE INDEX ON shop.reviews (product_id);
CREATE INDEX ON shop.tickets (customer_id);
CREATE INDEX ON clinic.patients (name);
CREATE INDEX ON clinic.visits (patient_id);
CREATE INDEX ON clinic.visits (doctor_id);
CREATE INDEX ON clinic.visits (visited_at);
CREATE INDEX ON clinic.diagnoses (visit_id);
CREATE INDEX ON clinic.prescriptions (visit_id);
CREATE INDEX ON clinic.notes (visit_id);
