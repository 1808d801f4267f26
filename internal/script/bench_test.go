package script

import "testing"

func benchmark(b *testing.B, script string) {
	w := withBoto3(b)
	for b.Loop() {
		w.succeeds(script)
	}
}

// A script that does nothing: namespaces, the init, python3 and back.
func BenchmarkEmptyScript(b *testing.B) { benchmark(b, "def handler(e, c): return 1") }

// What it costs to import boto3.
func BenchmarkImportBoto3(b *testing.B) {
	benchmark(b, "import boto3\ndef handler(e, c): return 1")
}

// A script with one call.
func BenchmarkOneCall(b *testing.B) {
	benchmark(b, "import boto3\ndef handler(e, c): return boto3.client('ec2').describe_volumes()['Volumes']")
}
