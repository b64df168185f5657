-- list doctors
SELECT * FROM doctors;

-- Show name and city of doctors
SELECT name, city FROM doctors;

-- doctors in Pune
SELECT * FROM doctors WHERE city = 'Pune';

-- doctors in pune or MUMBAI
SELECT * FROM doctors WHERE city IN ('Pune', 'Mumbai');

-- doctors not in Pune
SELECT * FROM doctors WHERE city <> 'Pune';

-- cardiology doctors
SELECT * FROM doctors WHERE specialty = 'cardiology';

-- doctors with fee over 400
SELECT * FROM doctors WHERE fee > 400;

-- doctors whose fee is between 300 and 450
SELECT * FROM doctors WHERE fee BETWEEN 300 AND 450;

-- doctors whose fee is at most $450
SELECT * FROM doctors WHERE fee <= 450;

-- insured patients
SELECT * FROM patients WHERE insured;

-- patients who are not insured
SELECT * FROM patients WHERE NOT insured;

-- how many female patients are there?
SELECT count(*) FROM patients WHERE gender = 'female';

-- patients without email
SELECT * FROM patients WHERE email IS NULL OR email = '';

-- patients whose city is missing
SELECT * FROM patients WHERE city IS NULL OR city = '';

-- patients whose email is not missing
SELECT * FROM patients WHERE email <> '';

-- patients whose last name ends with '9'
SELECT * FROM patients WHERE last_name LIKE '%9';

-- patients whose first name contains '_' or last name contains '%'
SELECT * FROM patients WHERE false;

-- visits since 2025
SELECT * FROM visits WHERE visited_at >= '2025-01-01';

-- visits last month
SELECT * FROM visits WHERE visited_at >= '2025-05-01' AND visited_at < '2025-06-01';

-- how many visits were there in March 2025
SELECT count(*) FROM visits WHERE to_char(visited_at,'YYYY-MM')='2025-03';

-- number of visits in Q2 2024
SELECT count(*) FROM visits WHERE visited_at >= '2024-04-01' AND visited_at < '2024-07-01';

-- visits in the last 30 days
SELECT * FROM visits WHERE visited_at >= '2025-05-16' AND visited_at < '2025-06-16';

-- visits before 2024-02-01
SELECT * FROM visits WHERE visited_at < '2024-02-01';

-- visits between Jan 5, 2024 and Jan 9, 2024
SELECT * FROM visits WHERE visited_at >= '2024-01-05' AND visited_at < '2024-01-10';

-- patients registered this year
SELECT * FROM patients WHERE registered_on >= '2025-01-01' AND registered_on < '2026-01-01';

-- patients born before 1970
SELECT * FROM patients WHERE date_of_birth < '1970-01-01';

-- staff hired in 2021
SELECT * FROM staff WHERE hired >= '2021-01-01' AND hired < '2022-01-01';

-- average fee of doctors
SELECT avg(fee) FROM doctors;

-- total charge of visits
SELECT sum(charge) FROM visits;

-- minimum and maximum fee of doctors
SELECT min(fee), max(fee) FROM doctors;

-- lowest charge and highest charge of visits
SELECT min(charge), max(charge) FROM visits;

-- median salary of staff
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FROM staff;

-- how many distinct cities of patients
SELECT count(DISTINCT city) FROM patients;

-- distinct specialties of doctors
SELECT DISTINCT specialty FROM doctors;

-- visits per doctor
SELECT d.name, count(*) FROM visits v JOIN doctors d ON d.id=v.doctor_id GROUP BY d.id;

-- number of visits by doctor in 2025
SELECT d.name, count(*) FROM visits v JOIN doctors d ON d.id=v.doctor_id WHERE visited_at >= '2025-01-01' AND
visited_at < '2026-01-01' GROUP BY d.id;

-- total charge for each specialty
SELECT d.specialty, sum(charge) FROM visits v JOIN doctors d ON d.id=v.doctor_id GROUP BY 1;

-- number of patients by gender and city
SELECT gender, city, count(*) FROM patients GROUP BY 1, 2;

-- total charge per month
SELECT date_trunc('month', visited_at), sum(charge) FROM visits GROUP BY 1 ORDER BY 1;

-- number of visits by year
SELECT extract(year FROM visited_at), count(*) FROM visits GROUP BY 1 ORDER BY 1;

-- how many patients registered each year
SELECT extract(year FROM registered_on), count(*) FROM patients GROUP BY 1 ORDER BY 1;

-- top 3 doctors by total charge
SELECT d.name, sum(charge) FROM visits v JOIN doctors d ON d.id=v.doctor_id GROUP BY d.id ORDER BY 2 DESC LIMIT
3;

-- top 2 cities by number of patients
SELECT city, count(*) FROM patients GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2;

-- the 2 most common reasons of visits
SELECT reason, count(*) FROM visits GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2;

-- the 5 visits with the highest charge
SELECT * FROM visits ORDER BY charge DESC, id LIMIT 5;

-- latest 10 visits
SELECT * FROM visits ORDER BY visited_at DESC LIMIT 10;

-- the highest paid staff
SELECT * FROM staff ORDER BY salary DESC LIMIT 1;

-- oldest patient
SELECT * FROM patients ORDER BY date_of_birth LIMIT 1;

-- youngest 3 patients
SELECT * FROM patients ORDER BY date_of_birth DESC LIMIT 3;

-- which doctor has the most visits
SELECT d.name, count(*) FROM visits v JOIN doctors d ON d.id=v.doctor_id GROUP BY d.id ORDER BY 2 DESC, 1 LIMIT
1;

-- patients with more than 8 visits
SELECT * FROM patients WHERE (SELECT count(*) FROM visits WHERE patient_id=patients.id) > 8;

-- patients with fewer than 2 visits
SELECT * FROM patients WHERE (SELECT count(*) FROM visits WHERE patient_id=patients.id) < 2;

-- how many patients have no visits
SELECT count(*) FROM patients WHERE NOT EXISTS (SELECT 1 FROM visits WHERE patient_id=patients.id);

-- patients with at least 2 visits in the first quarter of 2024
SELECT * FROM patients WHERE (SELECT count(*) FROM visits WHERE patient_id=patients.id AND visited_at <
'2024-04-01' AND visited_at >= '2024-01-01') >= 2;

-- patients with a total charge over 2500
SELECT * FROM patients WHERE (SELECT sum(charge) FROM visits WHERE patient_id=patients.id) > 2500;

-- visits of patients in Mumbai
SELECT v.* FROM visits v JOIN patients p ON p.id=patient_id WHERE p.city='Mumbai';

-- visits by doctor 'Rao' in 2024
SELECT * FROM visits WHERE doctor_id=1 AND visited_at >= '2024-01-01' AND visited_at < '2025-01-01';

-- how many visits did doctor 'Khan' have
SELECT count(*) FROM visits WHERE doctor_id = 3;

-- patients who visited in January 2024
SELECT * FROM patients WHERE id IN (SELECT patient_id FROM visits WHERE visited_at >= '2024-01-01' AND
visited_at < '2024-02-01');

-- doctors without visits
SELECT * FROM doctors WHERE id NOT IN (SELECT doctor_id FROM visits);

-- total quantity of prescriptions by doctor
SELECT d.name, sum(quantity) FROM prescriptions p JOIN visits v ON v.id=visit_id JOIN doctors d ON
d.id=doctor_id GROUP BY d.id;

-- how many patients were prescribed aspirin
SELECT count(*) FROM patients WHERE id IN (SELECT patient_id FROM visits v JOIN prescriptions p ON
p.visit_id=v.id WHERE drug='aspirin');

-- number of patients with prescriptions for drug aspirin
SELECT count(*) FROM patients WHERE id IN (SELECT patient_id FROM visits v JOIN prescriptions p ON
p.visit_id=v.id WHERE drug='aspirin');

-- staff whose manager is 'Staff1'
SELECT * FROM staff WHERE manager_id = 1;

-- staff without a manager
SELECT * FROM staff WHERE manager_id IS NULL;

-- number of staff per manager
SELECT m.name, count(*) FROM staff s JOIN staff m ON m.id=s.manager_id GROUP BY m.id;

-- staff earning more than 2500
SELECT * FROM staff WHERE salary > 2500;

-- list doctors sorted by fee from highest to lowest
SELECT * FROM doctors ORDER BY fee DESC;

-- show visit 42
SELECT * FROM visits WHERE id = 42;

-- visits with doctor name
SELECT v.*, d.name FROM visits v LEFT JOIN doctors d ON d.id=v.doctor_id;

-- number of distinct patients and total charge per doctor
SELECT d.name, count(DISTINCT patient_id), sum(charge) FROM visits v JOIN doctors d ON d.id=v.doctor_id GROUP BY
d.id;

-- Who are the top 2 doctors by number of visits in 2024? Return the name, specialty and total charge.
SELECT name, specialty, sum(charge) FROM visits v JOIN doctors d ON d.id=doctor_id WHERE visited_at >=
'2024-01-01' AND visited_at < '2025-01-01' GROUP BY d.id ORDER BY count(*) DESC, name LIMIT 2;

-- For each city, show the average fee of doctors
SELECT city, avg(fee) FROM doctors GROUP BY 1;

-- average fee of doctors for each city
SELECT city, avg(fee) FROM doctors GROUP BY 1;

-- cities with more than 9 patients
SELECT city FROM patients GROUP BY 1 HAVING count(*) > 9;

-- which patients have never visited
SELECT id, first_name, last_name FROM patients WHERE id NOT IN (SELECT patient_id FROM visits);
