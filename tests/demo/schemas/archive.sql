-- What nobody dares to delete.
CREATE SCHEMA archive DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

CREATE TABLE archive.documents (
  id INT NOT NULL AUTO_INCREMENT,
  reference VARCHAR(30) CHARACTER SET ascii NOT NULL,
  body MEDIUMBLOB NOT NULL,
  meta JSON NOT NULL,
  bytes INT GENERATED ALWAYS AS (LENGTH(body)) STORED,
  kind VARCHAR(20) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(meta, '$.kind'))) VIRTUAL,
  scanned_by VARCHAR(40) INVISIBLE DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY by_reference (reference),
  KEY by_kind (kind)
) ENGINE=InnoDB;
INSERT INTO archive.documents (id, reference, body, meta, scanned_by)
SELECT n, CONCAT('DOC-', LPAD(n, 8, '0')), UNHEX(REPEAT(SHA2(n, 256), 60 + n % 80)), JSON_OBJECT('kind', ELT(1 + n % 3, 'bill', 'deed', 'note'), 'page', n % 30), IF(n % 4, CONCAT('scanner ', n % 9), NULL)
FROM loading.n WHERE n <= 5000;

CREATE TABLE archive.import_log (
  imported_at DATETIME DEFAULT NULL,
  line TEXT
) ENGINE=InnoDB COMMENT='no key at all';
INSERT INTO archive.import_log SELECT TIMESTAMP '2018-01-01 00:00:00' + INTERVAL n DIV 3 MINUTE, CONCAT('file ', n % 40, ': ', REPEAT('ok; ', 180 + n % 60)) FROM loading.n WHERE n <= 16000;

CREATE TABLE archive.legacy_codes (
  code VARCHAR(40) DEFAULT NULL,
  meaning TEXT,
  UNIQUE KEY by_code (code)
) ENGINE=InnoDB COMMENT='a unique key that allows NULL';
INSERT INTO archive.legacy_codes SELECT IF(n % 10, CONCAT('code ', LPAD(n, 7, '0')), NULL), REPEAT(CONCAT('means ', n, '; '), 60 + n % 20) FROM loading.n WHERE n <= 15000;

CREATE TABLE archive.orders_2009 (
  id INT NOT NULL,
  total DECIMAL(12,2) DEFAULT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB COMMENT='empty, and stays so';

SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION';
CREATE TABLE archive.price_history (
  sku CHAR(12) CHARACTER SET ascii NOT NULL,
  valid_from DATE NOT NULL,
  valid_to DATE NOT NULL DEFAULT '0000-00-00',
  price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (sku, valid_from)
) ENGINE=InnoDB COMMENT='zero dates, as they were legal once';
INSERT INTO archive.price_history
SELECT CONCAT('SKU-', LPAD(n DIV 2, 8, '0')), DATE '2010-01-01' + INTERVAL n % 2 YEAR, IF(n % 3, '0000-00-00', DATE '2012-01-01'), n % 4000 / 100 FROM loading.n WHERE n <= 4000;
SET SESSION sql_mode = DEFAULT;
