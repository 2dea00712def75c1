"""The source."""

import pymysql

from lib.text import by_text, row_text

BIT = 16  # pymysql's FIELD_TYPE.BIT


class Source:
    def __init__(self, stack, user="app_user", password=None, database="mks_finance_dw"):
        self._settings = {
            "host": "127.0.0.1", "port": int(stack["MYSQL_PORT"]), "user": user,
            "password": password or stack["MYSQL_PASSWORD"], "database": database,
            "charset": "utf8mb4", "init_command": "set time_zone = '+00:00'",
        }
        self.connection = pymysql.connect(autocommit=True, **self._settings)

    def execute(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def script(self, text):
        """Statements of a file, each ending a line with ';'."""
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
        for statement in "\n".join(lines).split(";\n"):
            statement = statement.strip(" \n;")
            if statement:
                self.execute(statement)

    def rows(self, table):
        """Column names and the rows' texts, sorted."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"select * from {table}")
            columns = [field[0] for field in cursor.description]
            bits = {field[0] for field in cursor.description if field[1] == BIT}
            rows = by_text(row_text(columns, row, bits) for row in cursor.fetchall())
        return columns, rows

    def close(self):
        self.connection.close()
