// Writes points as columns over one stream, across restarts of the server.
//
// Stubs, into the package sluice/v1 below this directory, and a module (tried with gRPC 1.33, which
// has not got credentials/insecure yet):
//
//	go mod init example && go get google.golang.org/grpc google.golang.org/protobuf
//	protoc -I ../../../proto --go_out=. --go-grpc_out=. \
//	  --go_opt=Msluice/v1/write.proto=example/sluicev1 --go_opt=Msluice/v1/points.proto=example/sluicev1 \
//	  --go-grpc_opt=Msluice/v1/write.proto=example/sluicev1 --go-grpc_opt=Msluice/v1/points.proto=example/sluicev1 \
//	  --go_opt=module=example --go-grpc_opt=module=example \
//	  sluice/v1/points.proto sluice/v1/write.proto
//
// Run: go run . 127.0.0.1:8182 demo writer-1
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sluice "example/sluicev1"
)

const (
	batches  = 100
	points   = 100
	underWay = 8
)

// The points of a batch; the same each time that it is sent.
func batch(number int64) *sluice.WriteStreamRequest {
	times := make([]int64, points)
	values := make([]int64, points)
	for i := range times {
		values[i] = number*points + int64(i)
		times[i] = 1_700_000_000_000_000_000 + values[i]*1_000_000
	}
	table := &sluice.TableBatch{
		Table:       []byte("go"),
		RowCount:    points,
		Timestamps:  times,
		TagSetCount: 1,
		Tags: []*sluice.TagColumn{{
			Key: []byte("host"), Dictionary: [][]byte{[]byte("example")}, Values: []uint32{1},
		}},
		Fields: []*sluice.FieldColumn{{
			Key:    []byte("n"),
			Values: &sluice.FieldColumn_Integers_{Integers: &sluice.FieldColumn_Integers{Values: values}},
		}},
	}
	return &sluice.WriteStreamRequest{Message: &sluice.WriteStreamRequest_Batch{
		Batch: &sluice.WriteStreamBatch{
			Sequence: number,
			Points: &sluice.WriteStreamBatch_Columns{
				Columns: &sluice.ColumnBatch{Tables: []*sluice.TableBatch{table}},
			},
		},
	}}
}

// One stream, from batch *done on, as long as it lasts.
func writeOnce(client sluice.WriteServiceClient, database, writer string, done *int64) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if token := os.Getenv("SLUICE_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	stream, err := client.WriteStream(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	first := *done
	open := &sluice.WriteStreamRequest{Message: &sluice.WriteStreamRequest_Open{
		Open: &sluice.WriteStreamOpen{Database: database, WriterId: writer, FirstSequence: &first},
	}}
	// An error of Send is io.EOF: what it was, Recv says.
	if err := stream.Send(open); err != nil && err != io.EOF {
		return err
	}
	draining := false
	for sent := *done; ; {
		response, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if response.GetDrain() != nil {
			draining = true
		}
		for _, ack := range response.GetAcks().GetAcks() {
			if failed := ack.GetError(); failed != nil {
				log.Fatalf("batch %d: %s", ack.GetSequence(), failed.GetMessage())
			}
			if ack.GetAlreadyWritten() != nil {
				log.Printf("batch %d had been written before under this writer's name", ack.GetSequence())
			}
			for _, rejected := range ack.GetWritten().GetErrors() {
				log.Printf("point %d of batch %d: %s", rejected.GetIndex(), ack.GetSequence(), rejected.GetMessage())
			}
			*done = ack.GetSequence() + 1
		}
		for ; !draining && sent < batches && sent < *done+underWay; sent++ {
			if err := stream.Send(batch(sent)); err != nil && err != io.EOF {
				return err
			}
			time.Sleep(20 * time.Millisecond) // Only so that there is time for a restart.
		}
		if *done == sent && (draining || sent == batches) {
			if err := stream.CloseSend(); err != nil {
				return err
			}
		}
	}
}

// Over TLS where the environment has the certificates.
func security() grpc.DialOption {
	roots, chain, key := os.Getenv("SLUICE_CA_FILE"), os.Getenv("SLUICE_CERT_FILE"), os.Getenv("SLUICE_KEY_FILE")
	if roots == "" && chain == "" {
		return grpc.WithInsecure()
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pem, err := os.ReadFile(roots)
		if err != nil {
			log.Fatal(err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			log.Fatalf("%s has no certificate", roots)
		}
	}
	if chain != "" {
		pair, err := tls.LoadX509KeyPair(chain, key)
		if err != nil {
			log.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(config))
}

// Whether the same may go well the next time.
func isRetried(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Canceled, codes.DeadlineExceeded:
		return true
	}
	return false
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: example HOST:PORT DATABASE WRITER")
	}
	// So that a restart of the server is over for this client as soon as it is for the server.
	connection, err := grpc.Dial(os.Args[1],
		security(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := sluice.NewWriteServiceClient(connection)
	wait := 100 * time.Millisecond
	for done := int64(0); done < batches; {
		before := done
		if err := writeOnce(client, os.Args[2], os.Args[3], &done); err != nil {
			if !isRetried(status.Code(err)) {
				log.Fatal(err)
			}
			if done > before {
				wait = 100 * time.Millisecond
			}
			time.Sleep(time.Duration(rand.Int63n(int64(wait))))
			if wait < 5*time.Second {
				wait *= 2
			}
		}
	}
	fmt.Printf("%d batches are written\n", batches)
}
