-- list members in Agra
SELECT * FROM lbmember WHERE lbmembercity = 'Agra';

-- member names
SELECT lbmembername FROM lbmember;

-- how many active members
SELECT count(*) FROM lbmember WHERE lbmemberstatus = 'active';

-- members who joined since Jan 1, 2023
SELECT * FROM lbmember WHERE lbmemberjoindate >= '2023-01-01';

-- top 3 members by number of loans
SELECT lbmembername, count(*) FROM lbloan JOIN lbmember ON lblnmemberid=lbmemberid GROUP BY lbmemberid ORDER BY
2 DESC, 1, lbmemberid LIMIT 3;

-- total fee of loans per member city
SELECT lbmembercity, sum(lblnfee) FROM lbloan JOIN lbmember ON lblnmemberid=lbmemberid GROUP BY 1;

-- books that have no loans
SELECT * FROM lbbook WHERE lbbookid NOT IN (SELECT lblnbookid FROM lbloan);

-- title of books in Hindi
SELECT lbbooktitle FROM lbbook WHERE lbbooklanguage = 'Hindi';

-- the 3 most expensive books
SELECT * FROM lbbook ORDER BY lbbookprice DESC LIMIT 3;

-- number of loans of Tamil books in 2023
SELECT count(*) FROM lbloan JOIN lbbook ON lblnbookid=lbbookid WHERE lbbooklanguage='Tamil' AND lblndate >=
'2023-01-01' AND lblndate < '2024-01-01';

-- average fee of loans by book language
SELECT lbbooklanguage, avg(lblnfee) FROM lbloan JOIN lbbook ON lblnbookid=lbbookid GROUP BY 1;

-- Return the member ID and name of members who have not made any loans.
SELECT lbmemberid, lbmembername FROM lbmember WHERE lbmemberid NOT IN (SELECT lblnmemberid FROM lbloan);

-- names and prices of books
SELECT lbbooktitle, lbbookprice FROM lbbook;

-- minimum, maximum and average fee of loans
SELECT min(lblnfee), max(lblnfee), avg(lblnfee) FROM lbloan;
