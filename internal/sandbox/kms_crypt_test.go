package sandbox

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func (w *world) newKey(in object) string {
	w.t.Helper()
	return w.do("kms", "CreateKey", in)["KeyMetadata"].(object)["Arn"].(string)
}

func TestWhatIsEncryptedIsDecryptedInItsContextAlone(t *testing.T) {
	w := newWorld(t)
	key, other := w.newKey(nil), w.newKey(nil)
	w.do("kms", "CreateAlias", object{"AliasName": "alias/data", "TargetKeyId": key})
	context := object{"table": "orders", "for": "test"}
	out := w.do("kms", "Encrypt", object{"KeyId": "alias/data", "Plaintext": []byte("secret"), "EncryptionContext": context})
	blob := out["CiphertextBlob"].([]byte)
	if out["KeyId"] != key || bytes.Contains(blob, []byte("secret")) {
		t.Errorf("%v", out)
	}
	again := w.do("kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("secret"), "EncryptionContext": context})["CiphertextBlob"].([]byte)
	if bytes.Equal(blob, again) {
		t.Error("the same text gives the same ciphertext twice")
	}
	for _, in := range []object{{}, {"KeyId": key}, {"KeyId": "alias/data"}} {
		in["CiphertextBlob"], in["EncryptionContext"] = blob, context
		if got := w.do("kms", "Decrypt", in); string(got["Plaintext"].([]byte)) != "secret" || got["KeyId"] != key {
			t.Errorf("%v: %v", in, got)
		}
	}
	for _, wrong := range []object{nil, {"table": "orders"}, {"table": "orders", "for": "other"}, {"table": "orders", "for": "test", "more": "x"}} {
		w.fails("InvalidCiphertextException", "kms", "Decrypt", object{"CiphertextBlob": blob, "EncryptionContext": wrong})
	}
	w.fails("IncorrectKeyException", "kms", "Decrypt", object{"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": other})
	for i := range blob {
		changed := slices.Clone(blob)
		changed[i] ^= 1
		if _, err := w.try("kms", "Decrypt", object{"CiphertextBlob": changed, "EncryptionContext": context}); err == nil {
			t.Errorf("it is decrypted with byte %d changed", i)
		}
	}
	for n := range blob {
		w.fails("InvalidCiphertextException", "kms", "Decrypt", object{"CiphertextBlob": blob[:n], "EncryptionContext": context})
	}
	w.fails("DryRunOperationException", "kms", "Decrypt", object{"CiphertextBlob": blob, "EncryptionContext": context, "DryRun": true})
	w.fails("ValidationException", "kms", "Encrypt", object{"KeyId": key, "Plaintext": make([]byte, 4097)})
	w.fails("ValidationException", "kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte{}})
	w.fails("InvalidKeyUsageException", "kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("x"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"})
	w.fails("AccessDeniedException", "kms", "Encrypt", object{"KeyId": ebsAlias, "Plaintext": []byte("x")})
	signing := w.newKey(object{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})
	w.fails("InvalidKeyUsageException", "kms", "Encrypt", object{"KeyId": signing, "Plaintext": []byte("x")})

	moved := w.do("kms", "ReEncrypt", object{"CiphertextBlob": blob, "SourceEncryptionContext": context, "DestinationKeyId": other, "DestinationEncryptionContext": object{"a": "b"}})
	if moved["SourceKeyId"] != key || moved["KeyId"] != other {
		t.Errorf("%v", moved)
	}
	if got := w.do("kms", "Decrypt", object{"CiphertextBlob": moved["CiphertextBlob"], "EncryptionContext": object{"a": "b"}}); string(got["Plaintext"].([]byte)) != "secret" || got["KeyId"] != other {
		t.Errorf("%v", got)
	}
	w.fails("InvalidCiphertextException", "kms", "ReEncrypt", object{"CiphertextBlob": blob, "DestinationKeyId": other})
	w.fails("IncorrectKeyException", "kms", "ReEncrypt", object{"CiphertextBlob": blob, "SourceEncryptionContext": context, "SourceKeyId": other, "DestinationKeyId": other})
}

func TestDataKeys(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	for _, c := range []struct {
		in object
		n  int
	}{{object{"KeySpec": "AES_256"}, 32}, {object{"KeySpec": "AES_128"}, 16}, {object{"NumberOfBytes": int64(1024)}, 1024}} {
		c.in["KeyId"] = key
		out := w.do("kms", "GenerateDataKey", c.in)
		plain := out["Plaintext"].([]byte)
		if len(plain) != c.n {
			t.Errorf("%v: %d bytes", c.in, len(plain))
		}
		if got := w.do("kms", "Decrypt", object{"CiphertextBlob": out["CiphertextBlob"]})["Plaintext"].([]byte); !bytes.Equal(got, plain) {
			t.Errorf("%v: the ciphertext is of another key", c.in)
		}
		if next := w.do("kms", "GenerateDataKey", c.in)["Plaintext"].([]byte); bytes.Equal(next, plain) {
			t.Errorf("%v: the same key twice", c.in)
		}
		if _, told := w.do("kms", "GenerateDataKeyWithoutPlaintext", c.in)["Plaintext"]; told {
			t.Error("the plaintext is told")
		}
	}
	for _, in := range []object{{}, {"KeySpec": "AES_256", "NumberOfBytes": int64(32)}, {"NumberOfBytes": int64(1025)}, {"NumberOfBytes": int64(0)}, {"KeySpec": "AES_512"}} {
		in["KeyId"] = key
		w.fails("ValidationException", "kms", "GenerateDataKey", in)
	}
}

func TestAKeysStateDecidesWhetherItDecrypts(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	sealed := object{"CiphertextBlob": w.do("kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("secret")})["CiphertextBlob"]}
	w.do("kms", "DisableKey", object{"KeyId": key})
	w.fails("DisabledException", "kms", "Decrypt", sealed)
	w.fails("DisabledException", "kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("x")})
	w.do("kms", "ScheduleKeyDeletion", object{"KeyId": key, "PendingWindowInDays": int64(7)})
	w.fails("KMSInvalidStateException", "kms", "Decrypt", sealed)
	w.do("kms", "CancelKeyDeletion", object{"KeyId": key})
	w.do("kms", "EnableKey", object{"KeyId": key})
	w.do("kms", "Decrypt", sealed)

	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := (&world{restored, t, w.clock, OperatorKey}).do("kms", "Decrypt", sealed)["Plaintext"]; string(got.([]byte)) != "secret" {
		t.Errorf("%s after a restore", got)
	}

	w.do("kms", "ScheduleKeyDeletion", object{"KeyId": key, "PendingWindowInDays": int64(7)})
	w.clock.Advance(7 * 24 * time.Hour)
	w.fails("AccessDeniedException", "kms", "Decrypt", sealed) // of a key that is gone AWS doesn't say so
	w.fails("NotFoundException", "kms", "Decrypt", object{"KeyId": key, "CiphertextBlob": sealed["CiphertextBlob"]})
}

func TestPoliciesAndGrantsSeeTheEncryptionContext(t *testing.T) {
	e := newEstate(t)
	key := e.text("{{e.keyARN}}")
	seal := func(context object) object {
		return object{"EncryptionContext": context, "CiphertextBlob": e.do("kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("secret"), "EncryptionContext": context})["CiphertextBlob"]}
	}
	orders, bills := seal(object{"table": "orders"}), seal(object{"table": "bills"})

	carl := e.user("carl", policyOf(`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+key+`","Condition":{"StringEquals":{"kms:EncryptionContext:table":"orders"}}}`))
	carl.do("kms", "Decrypt", orders)
	carl.fails("AccessDeniedException", "kms", "Decrypt", bills)
	carl.fails("AccessDeniedException", "kms", "Encrypt", object{"KeyId": key, "Plaintext": []byte("x"), "EncryptionContext": object{"table": "orders"}})
	carl.fails("InvalidCiphertextException", "kms", "Decrypt", object{"CiphertextBlob": []byte("nothing")})

	dora := e.user("dora", "")
	grant := func(constraint string, context object) {
		e.do("kms", "CreateGrant", object{"KeyId": key, "GranteePrincipal": e.text("arn:aws:iam::111122223333:user/dora"), "Operations": ids("Decrypt"), "Constraints": object{constraint: context}})
	}
	dora.fails("AccessDeniedException", "kms", "Decrypt", orders)
	grant("EncryptionContextSubset", object{"table": "orders"})
	dora.do("kms", "Decrypt", orders)
	dora.do("kms", "Decrypt", seal(object{"table": "orders", "row": "1"}))
	dora.fails("AccessDeniedException", "kms", "Decrypt", bills)
	grant("EncryptionContextEquals", object{"table": "bills"})
	dora.do("kms", "Decrypt", bills)
	dora.fails("AccessDeniedException", "kms", "Decrypt", seal(object{"table": "bills", "row": "1"}))
	if got := objects(e.do("kms", "ListGrants", object{"KeyId": key})["Grants"]); got[len(got)-1]["Constraints"].(object)["EncryptionContextEquals"].(object)["table"] != "bills" {
		t.Errorf("%v", got)
	}

	other := e.newKey(nil)
	fred := e.user("fred", policyOf(`{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"`+key+`"}`, `{"Effect":"Allow","Action":"kms:ReEncryptTo","Resource":"`+other+`"}`))
	in := object{"CiphertextBlob": orders["CiphertextBlob"], "SourceEncryptionContext": orders["EncryptionContext"], "DestinationKeyId": other}
	fred.do("kms", "ReEncrypt", in)
	in["DestinationKeyId"] = key
	fred.fails("AccessDeniedException", "kms", "ReEncrypt", in)
}

func TestOneSeedOneCiphertext(t *testing.T) {
	made := func() []byte {
		w := newWorld(t)
		in := object{"KeyId": w.newKey(nil), "KeySpec": "AES_256"}
		return append(w.do("kms", "GenerateDataKey", in)["Plaintext"].([]byte), w.do("kms", "GenerateDataKeyWithoutPlaintext", in)["CiphertextBlob"].([]byte)...)
	}
	if !bytes.Equal(made(), made()) {
		t.Error("two runs with one seed encrypt otherwise")
	}
}
