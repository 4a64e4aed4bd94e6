-- Things on shelves: movements, stock, shipments, measurements, and two engines from another time.
CREATE SCHEMA warehouse DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci;

CREATE TABLE warehouse.stock_movements (
  id INT NOT NULL AUTO_INCREMENT,
  product_id MEDIUMINT UNSIGNED NOT NULL,
  moved INT NOT NULL,
  reason VARCHAR(40) DEFAULT NULL,
  PRIMARY KEY (id, product_id)
) ENGINE=InnoDB
PARTITION BY HASH (product_id) PARTITIONS 4;
INSERT INTO warehouse.stock_movements SELECT n, n % 500 + 1, n % 41 - 20, IF(n % 3, CONCAT('delivery ', n), NULL) FROM loading.n WHERE n <= 8000;

CREATE TABLE warehouse.stock_levels (
  product_id MEDIUMINT UNSIGNED NOT NULL,
  place VARCHAR(20) NOT NULL,
  pieces INT NOT NULL,
  counted_by VARCHAR(1000) NOT NULL,
  revision INT NOT NULL DEFAULT '0',
  PRIMARY KEY (product_id, place)
) ENGINE=InnoDB;
INSERT INTO warehouse.stock_levels
SELECT n, CONCAT('hall ', n % 9), n % 700, RPAD(CONCAT('clerk ', n), 850, ' and colleagues'), 0 FROM loading.n WHERE n <= 14000;
CREATE TRIGGER warehouse.count_revisions BEFORE UPDATE ON warehouse.stock_levels FOR EACH ROW SET NEW.revision = OLD.revision + 1;

CREATE TABLE warehouse.bins (
  aisle CHAR(2) COLLATE utf8mb4_0900_as_cs NOT NULL,
  shelf TINYINT NOT NULL,
  bin SMALLINT UNSIGNED NOT NULL,
  marks BIT(11) NOT NULL DEFAULT b'0',
  height_m FLOAT DEFAULT NULL,
  PRIMARY KEY (aisle, shelf, bin)
) ENGINE=InnoDB;
INSERT INTO warehouse.bins
SELECT CONCAT(CHAR(65 + n % 20 USING utf8mb4), IF(n % 2, 'x', 'X')), n % 100 - 50, n, n % 2048, IF(n % 5, n % 32 / 8, NULL) FROM loading.n WHERE n <= 4000;

CREATE TABLE warehouse.shipments (
  sent_at DATETIME(6) NOT NULL,
  truck SMALLINT NOT NULL,
  waybill VARCHAR(30) CHARACTER SET ascii NOT NULL,
  papers TEXT,
  PRIMARY KEY (sent_at, truck),
  UNIQUE KEY by_waybill (waybill)
) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8;
INSERT INTO warehouse.shipments
SELECT TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n * 977 SECOND + INTERVAL n MICROSECOND, n % 12, CONCAT('WB', LPAD(n, 10, '0')), IF(n % 4, REPEAT(CONCAT('box ', n, ', '), n % 30), NULL)
FROM loading.n WHERE n <= 6000;

CREATE TABLE warehouse.temperatures (
  sensor VARCHAR(12) CHARACTER SET ascii NOT NULL,
  taken_at DATETIME(3) NOT NULL,
  celsius DECIMAL(6,3) NOT NULL,
  PRIMARY KEY (sensor, taken_at DESC),
  KEY newest_first (taken_at DESC, celsius)
) ENGINE=InnoDB;
INSERT INTO warehouse.temperatures
SELECT CONCAT('s', LPAD(n % 16, 3, '0')), TIMESTAMP '2025-03-01 00:00:00' + INTERVAL n * 41 SECOND + INTERVAL n * 1000 MICROSECOND, n % 40000 / 1000 - 20
FROM loading.n WHERE n <= 12000;

CREATE TABLE warehouse.suppliers (
  id VARBINARY(12) NOT NULL,
  name VARCHAR(80) COLLATE utf8mb4_unicode_ci NOT NULL,
  since DECIMAL(10,4) NOT NULL,
  PRIMARY KEY (since, id),
  KEY by_upper_name ((UPPER(name)))
) ENGINE=InnoDB COMMENT='a DECIMAL key and a functional index';
INSERT INTO warehouse.suppliers SELECT UNHEX(LPAD(HEX(n), 10, '0')), CONCAT('Lieferant ', n), n * 1.0001 FROM loading.n WHERE n <= 2500;

CREATE TABLE warehouse.old_parcels (
  id INT NOT NULL AUTO_INCREMENT,
  content VARCHAR(100) DEFAULT NULL,
  PRIMARY KEY (id)
) ENGINE=MyISAM;
INSERT INTO warehouse.old_parcels SELECT n, CONCAT('parcel ', n) FROM loading.n WHERE n <= 1000;

CREATE TABLE warehouse.pick_queue (
  id INT NOT NULL,
  bin_no INT NOT NULL,
  PRIMARY KEY (id)
) ENGINE=MEMORY;
INSERT INTO warehouse.pick_queue SELECT n, n * 3 FROM loading.n WHERE n <= 200;
