-- Money: accounts, the ledger, invoices by year, payments, and the trail that the auditors read.
CREATE SCHEMA billing DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;
CREATE TABLESPACE company_reference ADD DATAFILE 'company_reference.ibd';

CREATE TABLE billing.accounts (
  iban CHAR(22) CHARACTER SET ascii NOT NULL,
  owner VARCHAR(80) NOT NULL,
  balance DECIMAL(18,4) NOT NULL DEFAULT '0.0000',
  opened_on DATE NOT NULL,
  closed TINYINT(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (iban)
) ENGINE=InnoDB;
INSERT INTO billing.accounts
SELECT CONCAT('DE', LPAD(n * 97 % 9999991, 20, '0')), CONCAT('owner ', n), n * 3.25 - 4000, DATE '2015-01-01' + INTERVAL n DAY, n % 11 = 0
FROM loading.n WHERE n <= 3000;

CREATE TABLE billing.ledger_entries (
  book SMALLINT UNSIGNED NOT NULL,
  entry_no INT UNSIGNED NOT NULL,
  iban CHAR(22) CHARACTER SET ascii NOT NULL,
  amount DECIMAL(18,4) NOT NULL,
  text VARCHAR(140) NOT NULL DEFAULT '',
  booked_at DATETIME(6) NOT NULL,
  PRIMARY KEY (book, entry_no),
  KEY by_account (iban, booked_at)
) ENGINE=InnoDB;
INSERT INTO billing.ledger_entries
SELECT 1 + n DIV 9000, n, CONCAT('DE', LPAD(n * 97 % 9999991, 20, '0')), n % 200000 / 16 - 5000, CONCAT('invoice ', n, ' of ', n % 12 + 1),
  TIMESTAMP '2022-01-01 00:00:00' + INTERVAL n * 613 SECOND + INTERVAL n MICROSECOND
FROM loading.n WHERE n <= 100000;

CREATE TABLE billing.invoices (
  id INT NOT NULL AUTO_INCREMENT,
  issued_on DATE NOT NULL,
  invoice_no VARCHAR(24) CHARACTER SET ascii NOT NULL,
  customer_id INT UNSIGNED NOT NULL,
  gross DECIMAL(12,2) NOT NULL,
  net DECIMAL(12,2) DEFAULT NULL,
  address VARCHAR(250) DEFAULT NULL,
  PRIMARY KEY (id, issued_on),
  UNIQUE KEY by_number (invoice_no, issued_on),
  KEY by_customer (customer_id)
) ENGINE=InnoDB
PARTITION BY RANGE (YEAR(issued_on)) (
  PARTITION y2021 VALUES LESS THAN (2022), PARTITION y2022 VALUES LESS THAN (2023),
  PARTITION y2023 VALUES LESS THAN (2024), PARTITION later VALUES LESS THAN MAXVALUE);
INSERT INTO billing.invoices
SELECT n, DATE '2021-01-01' + INTERVAL n DIV 30 DAY, CONCAT('INV-', LPAD(n, 10, '0')), n * 3 % 32000 + 1, n % 99999 / 100, IF(n % 8, n % 80000 / 100, NULL),
  CONCAT(n % 300, ' Long Street', REPEAT(', second floor', 6 + n % 8))
FROM loading.n WHERE n <= 45000;

CREATE TABLE billing.payments (
  id BIGINT UNSIGNED NOT NULL,
  invoice_id INT DEFAULT NULL,
  amount DECIMAL(12,2) NOT NULL,
  paid_by ENUM('card', 'transfer', 'cash', 'voucher') DEFAULT NULL,
  reference VARBINARY(40) DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY by_reference (reference)
) ENGINE=InnoDB COMMENT='keys above 2^63';
INSERT INTO billing.payments
SELECT 18446744073709000000 + n * 11, n, n % 5000 / 4, NULLIF(n % 5, 0), IF(n % 7, CONCAT('ref', LPAD(n, 9, '0')), NULL) FROM loading.n WHERE n <= 9000;

CREATE TABLE billing.exchange_rates (
  currency ENUM('EUR', 'USD', 'GBP', 'JPY', 'CHF', 'SEK') NOT NULL,
  day DATE NOT NULL,
  rate DOUBLE NOT NULL,
  PRIMARY KEY (currency, day)
) ENGINE=InnoDB;
INSERT INTO billing.exchange_rates
SELECT n % 6 + 1, DATE '2022-01-01' + INTERVAL n DIV 6 DAY, 1 + n % 64 / 64 FROM loading.n WHERE n <= 3600;

CREATE TABLE billing.audit_trail (
  id BINARY(16) NOT NULL,
  actor VARCHAR(60) NOT NULL,
  action VARCHAR(40) CHARACTER SET ascii NOT NULL,
  subject_id BIGINT DEFAULT NULL,
  before_image MEDIUMBLOB,
  at TIMESTAMP(6) NOT NULL,
  PRIMARY KEY (id),
  KEY by_time (at)
) ENGINE=InnoDB;
INSERT INTO billing.audit_trail
SELECT UNHEX(LEFT(SHA2(CONCAT('audit', n), 256), 32)) AS id, CONCAT('clerk ', n % 40), ELT(1 + n % 3, 'invoice.cancel', 'price.change', 'login'), IF(n % 5, n, NULL),
  IF(n % 3, UNHEX(REPEAT(SHA2(n, 256), 1 + n % 4)), NULL), TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n * 11 SECOND + INTERVAL n MICROSECOND
FROM loading.n WHERE n <= 65000 ORDER BY id;

CREATE TABLE billing.dunning_letters (
  id INT NOT NULL AUTO_INCREMENT,
  level TINYINT NOT NULL,
  letter TEXT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT three_letters_at_most CHECK (level BETWEEN 1 AND 3)
) ENGINE=InnoDB COMMENT='a CHECK with a name of its own';
INSERT INTO billing.dunning_letters
SELECT n, n % 3 + 1, CONCAT('Letter ', n, ': ', REPEAT('please pay what is due. ', 40 + n % 20)) FROM loading.n WHERE n <= 12000;

CREATE TABLE billing.tax_rates (
  country CHAR(2) CHARACTER SET ascii NOT NULL,
  since DATE NOT NULL,
  percent DECIMAL(5,2) NOT NULL,
  PRIMARY KEY (country, since)
) ENGINE=InnoDB TABLESPACE=company_reference;
INSERT INTO billing.tax_rates
SELECT CONCAT(CHAR(65 + n % 26 USING ascii), CHAR(65 + n DIV 26 % 26 USING ascii)), DATE '2000-01-01' + INTERVAL n DAY, n % 30 + 0.5 FROM loading.n WHERE n <= 700;

CREATE TABLE billing.currencies (
  code CHAR(3) CHARACTER SET ascii NOT NULL,
  name VARCHAR(60) NOT NULL,
  digits TINYINT NOT NULL DEFAULT '2',
  PRIMARY KEY (code)
) ENGINE=InnoDB TABLESPACE=company_reference;
INSERT INTO billing.currencies
SELECT CONCAT(CHAR(65 + n DIV 26 % 26 USING ascii), CHAR(65 + n % 26 USING ascii), 'X'), CONCAT('Currency ', n), n % 4 FROM loading.n WHERE n <= 300;

CREATE TABLE billing.card_vault (
  id INT NOT NULL AUTO_INCREMENT,
  holder VARCHAR(80) NOT NULL,
  pan VARBINARY(64) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB ENCRYPTION='Y' COMMENT='encrypted from its first day';
INSERT INTO billing.card_vault SELECT n, CONCAT('holder ', n), UNHEX(SHA2(n, 512)) FROM loading.n WHERE n <= 2000;
