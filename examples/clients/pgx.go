// pgx.go: with pgx; see README.md
// Run with Go 1.19 and pgx 4.15.  With pgx 5 the import is github.com/jackc/pgx/v5, and the rest the same.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"regexp"
	"time"

	"github.com/jackc/pgx/v4"
)

type event map[string]interface{}

func message(id string, length int) event {
	return event{"customerEventId": id, "customerAlias": "acme", "eventType": "message-sent",
		"eventTimestamp": "2026-10-05T10:00:00Z", "eventProperties": event{"length": length}}
}

// On a connection of its own: PGHOST, PGDATABASE, … say where.  A program with many requests has a pool of pgxpool.
func ask(sql string, parameters ...interface{}) (answer string, err error) {
	connection, err := pgx.Connect(context.Background(), "")
	if err != nil {
		return "", err
	}
	defer connection.Close(context.Background())
	err = connection.QueryRow(context.Background(), sql, parameters...).Scan(&answer)
	return answer, err
}

func store(function string, what interface{}) error {
	text, err := json.Marshal(what)
	if err == nil {
		_, err = ask("SELECT "+function+"($1::jsonb)::text", string(text))
	}
	return err
}

// Lost connections have no SQLSTATE, or one of 08 and 57P; 40001 and 40P01 are a transaction that lost to another.
func isTemporary(err error) bool {
	var server interface{ SQLState() string }
	return !errors.As(err, &server) || regexp.MustCompile("^(08|40|57P)").MatchString(server.SQLState())
}

// Each event has a customerEventId: what was stored before the answer got lost is not stored again.
func storeBatch(events []event) (err error) {
	for attempt := 1; attempt <= 5; attempt++ {
		if err = store("create_usage_events", events); err == nil || !isTemporary(err) {
			return err
		}
		time.Sleep(time.Duration(rand.Int63n(int64(100*time.Millisecond) << attempt)))
	}
	return err
}

func main() {
	if err := store("create_usage_event", message("message-1", 500)); err != nil {
		log.Fatal(err)
	}
	if err := storeBatch([]event{message("message-2", 30), message("message-3", 7)}); err != nil {
		log.Fatal(err)
	}
	value, err := ask("SELECT calculate_usage_metric(id, $1, $2) ->> 'value' FROM usage_metrics WHERE name = 'Characters'",
		[]string{"acme"}, "[2026-10-01 00:00Z, 2026-11-01 00:00Z)")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value)
}
