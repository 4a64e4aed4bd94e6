-- People: companies and their contacts (foreign keys), and what tenants keep, under string keys.
CREATE SCHEMA crm DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

CREATE TABLE crm.companies (
  id INT NOT NULL AUTO_INCREMENT,
  name VARCHAR(80) NOT NULL,
  history TEXT,
  PRIMARY KEY (id)
) ENGINE=InnoDB;
INSERT INTO crm.companies SELECT n, CONCAT('Company ', n), REPEAT(CONCAT('visited in ', 2000 + n % 25, '. '), 60 + n % 20) FROM loading.n WHERE n <= 12000;

CREATE TABLE crm.contacts (
  id INT NOT NULL AUTO_INCREMENT,
  company_id INT NOT NULL,
  name VARCHAR(80) NOT NULL,
  remarks TEXT,
  PRIMARY KEY (id),
  CONSTRAINT contact_of FOREIGN KEY (company_id) REFERENCES crm.companies (id) ON DELETE CASCADE
) ENGINE=InnoDB;
INSERT INTO crm.contacts SELECT n, n % (SELECT COUNT(*) FROM crm.companies) + 1, CONCAT('Contact ', n), REPEAT(CONCAT('likes ', ELT(1 + n % 3, 'tea', 'coffee', 'chess'), '. '), 60 + n % 20) FROM loading.n WHERE n <= 15000;

CREATE TABLE crm.contact_notes (
  id INT NOT NULL AUTO_INCREMENT,
  contact_id INT DEFAULT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT note_on FOREIGN KEY (contact_id) REFERENCES crm.contacts (id) ON DELETE SET NULL
) ENGINE=InnoDB;
INSERT INTO crm.contact_notes SELECT n, IF(n % 10, n % (SELECT COUNT(*) FROM crm.contacts) + 1, NULL), CONCAT('Note ', n, ' ', REPEAT('and more of it, ', 40 + n % 30)) FROM loading.n WHERE n <= 16000;

CREATE TABLE crm.tenant_notes (
  tenant VARCHAR(24) NOT NULL,
  note_id CHAR(36) NOT NULL,
  title VARCHAR(120) NOT NULL DEFAULT '',
  body VARCHAR(800) DEFAULT NULL,
  PRIMARY KEY (tenant, note_id)
) ENGINE=InnoDB;
INSERT INTO crm.tenant_notes
SELECT ELT(1 + n % 8, 'acme', 'Äpfel & Co', 'beta-works', 'Café Zoé', 'delta', 'école', 'Œuvre', 'zulu') AS tenant,
  INSERT(INSERT(INSERT(INSERT(LEFT(SHA2(CONCAT('note', n), 256), 32), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-') AS note_id,
  CONCAT('Titel ', n), IF(n % 6, REPEAT(CONCAT('ligne ', n, ' — '), 16 + n % 12), NULL)
FROM loading.n WHERE n <= 34000 ORDER BY tenant, note_id;

CREATE TABLE crm.tenant_files (
  tenant VARCHAR(24) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL,
  file_id CHAR(36) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL,
  path VARCHAR(200) CHARACTER SET latin1 NOT NULL,
  PRIMARY KEY (tenant, file_id)
) ENGINE=InnoDB;
INSERT INTO crm.tenant_files
SELECT ELT(1 + n % 4, 'acme', 'Äpfel & Co', 'Café Zoé', 'zulu'), INSERT(INSERT(INSERT(INSERT(LEFT(SHA2(CONCAT('file', n), 256), 32), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-'),
  CONCAT('/srv/Bücher/', n)
FROM loading.n WHERE n <= 5000;

CREATE TABLE crm.tenant_tokens (
  tenant VARBINARY(24) NOT NULL,
  token BINARY(8) NOT NULL,
  used_at DATETIME DEFAULT NULL,
  PRIMARY KEY (tenant, token)
) ENGINE=InnoDB;
INSERT INTO crm.tenant_tokens
SELECT ELT(1 + n % 4, 'acme', 'ACME', UNHEX('00FF41'), 'zulu '), UNHEX(LEFT(SHA2(CONCAT('token', n), 256), 16)), IF(n % 2, TIMESTAMP '2024-05-01 00:00:00' + INTERVAL n MINUTE, NULL)
FROM loading.n WHERE n <= 4000;

CREATE TABLE crm.phone_book (
  number VARCHAR(20) CHARACTER SET ascii NOT NULL,
  name VARCHAR(60) NOT NULL,
  UNIQUE KEY by_number (number)
) ENGINE=InnoDB COMMENT='no primary key, but a unique one without NULL';
INSERT INTO crm.phone_book SELECT CONCAT('+49', LPAD(n * 7, 9, '0')), CONCAT('Person ', n) FROM loading.n WHERE n <= 3000;
