// Jdbc.java: with PostgreSQL's JDBC driver; see README.md
// Run with OpenJDK 17 and the driver 42.5.5, as: java -cp /usr/share/java/postgresql.jar Jdbc.java jdbc:postgresql://localhost/postgres
import java.sql.*;

public class Jdbc {
    static String message(String id, int length) {
        return String.format("{\"customerEventId\": \"%s\", \"customerAlias\": \"acme\", \"eventType\": \"message-sent\","
            + " \"eventTimestamp\": \"2026-10-05T10:00:00Z\", \"eventProperties\": {\"length\": %d}}", id, length);
    }

    static String ask(Connection connection, String sql, String... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) statement.setString(i + 1, parameters[i]);
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? rows.getString(1) : null;
            }
        }
    }

    /** Lost connections have a SQLSTATE of 08 or 57P; 40001 and 40P01 are a transaction that lost to another. */
    static boolean isTemporary(SQLException error) {
        return error.getSQLState() == null || error.getSQLState().matches("(08|40|57P).*");
    }

    /** Each event has a customerEventId: what was stored before the answer got lost is not stored again. */
    static void storeBatch(String url, String events) throws SQLException, InterruptedException {
        for (int attempt = 1;; attempt++) {
            try (Connection connection = DriverManager.getConnection(url)) {
                ask(connection, "SELECT create_usage_events(?::jsonb)", events);
                return;
            } catch (SQLException error) {
                if (attempt == 5 || !isTemporary(error)) throw error;
                Thread.sleep((long) (100 * Math.pow(2, attempt) * Math.random()));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            ask(connection, "SELECT create_usage_event(?::jsonb)", message("message-1", 500));
            storeBatch(arguments[0], "[" + message("message-2", 30) + ", " + message("message-3", 7) + "]");
            System.out.println(ask(connection, "SELECT calculate_usage_metric(id, ARRAY[?], ?::tstzrange) ->> 'value' FROM usage_metrics"
                + " WHERE name = 'Characters'", "acme", "[2026-10-01 00:00Z, 2026-11-01 00:00Z)"));
        }
    }
}
