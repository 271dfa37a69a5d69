<?php
// php_pdo.php: with PHP's PDO; see README.md
// Run with PHP 8.2 and its pgsql.

// PGHOST, PGDATABASE, … say where.
function connect(): PDO
{
    return new PDO('pgsql:', getenv('PGUSER') ?: null, getenv('PGPASSWORD') ?: null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function ask(PDO $connection, string $sql, array $parameters): ?string
{
    $statement = $connection->prepare($sql);
    $statement->execute($parameters);
    return $statement->fetchColumn();
}

// Lost connections have HY000 or a SQLSTATE of 08 or 57P; 40001 and 40P01 are a transaction that lost to another.
function is_temporary(PDOException $error): bool
{
    return preg_match('/^(08|40|57P|HY000)/', $error->errorInfo[0] ?? '08') === 1;
}

// Each event has a customerEventId: what was stored before the answer got lost is not stored again.
function store_batch(array $events): void
{
    for ($attempt = 1;; $attempt++) {
        try {
            ask(connect(), 'SELECT create_usage_events(?)', [json_encode($events)]);
            return;
        } catch (PDOException $error) {
            if ($attempt === 5 || !is_temporary($error)) {
                throw $error;
            }
            usleep(random_int(0, 100_000 * 2 ** $attempt));
        }
    }
}

function message(string $id, int $length): array
{
    return ['customerEventId' => $id, 'customerAlias' => 'acme', 'eventType' => 'message-sent',
        'eventTimestamp' => '2026-10-05T10:00:00Z', 'eventProperties' => ['length' => $length]];
}

ask(connect(), 'SELECT create_usage_event(?)', [json_encode(message('message-1', 500))]);
store_batch([message('message-2', 30), message('message-3', 7)]);
echo ask(connect(), "SELECT calculate_usage_metric(id, ?, ?) ->> 'value' FROM usage_metrics WHERE name = 'Characters'",
    ['{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)']), "\n";
