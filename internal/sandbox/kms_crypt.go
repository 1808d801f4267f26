package sandbox

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// A ciphertext is sealed with AES-GCM. Material, nonces and data keys follow
// from the seed, so that two runs give the same; nothing that the sandbox
// encrypts is secret. It is written as one byte for the form, the length and text
// of the key's ARN, the nonce, and what was sealed.
const sealedForm = 1

// sealed is a ciphertext, read.
type sealed struct {
	key   string // ARN
	nonce []byte
	text  []byte
}

func (s sealed) bytes() []byte {
	out := append([]byte{sealedForm, byte(len(s.key))}, s.key...)
	return append(append(out, s.nonce...), s.text...)
}

// errCiphertext is what KMS says of a ciphertext that was changed, and of one
// that was encrypted in another context: it tells nobody which.
func errCiphertext() error {
	return failure(400, "InvalidCiphertextException", "The ciphertext is none, was changed, or was encrypted in another encryption context.")
}

func readSealed(blob any) (s sealed, err error) {
	b, _ := blob.([]byte)
	if len(b) < 2 || b[0] != sealedForm || len(b) < 2+int(b[1])+nonceSize {
		return s, errCiphertext()
	}
	n := 2 + int(b[1])
	s = sealed{string(b[2:n]), b[n : n+nonceSize], b[n+nonceSize:]}
	if a, ok := parseARN(s.key); !ok || a.service != "kms" {
		return s, errCiphertext()
	}
	return s, nil
}

// nonceSize is AES-GCM's, in bytes.
const nonceSize = 12

// material is what a key encrypts with.
func (r keyRef) material(seed int64) cipher.AEAD {
	raw, _ := hex.DecodeString(derived(seed, "kms "+r.String(), 0)) // it is hexadecimal
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	out, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has blocks of the right size
	}
	return out
}

// random gives n bytes that come but once in a sandbox.
func (c *call) random(n int) []byte {
	var out []byte
	for len(out) < n {
		c.state.Drawn++
		raw, _ := hex.DecodeString(derived(c.state.Seed, "random", c.state.Drawn)) // it is hexadecimal
		out = append(out, raw...)
	}
	return out[:n]
}

// contextText is an encryption context as one text.
func contextText(context object) []byte {
	raw, _ := json.Marshal(context) // of texts, in the order of their names
	return raw
}

func (c *call) seal(at keyRef, plain []byte, context object) []byte {
	nonce := c.random(nonceSize)
	return sealed{at.String(), nonce, at.material(c.state.Seed).Seal(nil, nonce, plain, contextText(context))}.bytes()
}

// unseal gives what a ciphertext holds and the key that it was encrypted with. A
// key that is named must be that one.
func (c *call) unseal(blob any, name string, context object) (keyRef, []byte, error) {
	s, err := readSealed(blob)
	if err != nil {
		return keyRef{}, nil, err
	}
	at, err := c.cryptKey(cmp.Or(name, s.key))
	if name == "" && codeOf(err) == "NotFoundException" {
		return at, nil, failure(400, "AccessDeniedException", "The ciphertext refers to a key that does not exist, does not exist in this Region, or that you may not use.")
	}
	if err != nil {
		return at, nil, err
	}
	if at.String() != s.key {
		return at, nil, failure(400, "IncorrectKeyException", "The key ID in the request does not identify the key that the ciphertext was encrypted with.")
	}
	plain, err := at.material(c.state.Seed).Open(nil, s.nonce, s.text, contextText(context))
	if err != nil {
		return at, nil, errCiphertext()
	}
	return at, plain, nil
}

// cryptKey finds a key that is to encrypt or decrypt.
func (c *call) cryptKey(name string) (keyRef, error) {
	at, k, err := c.findKey(name, c.now)
	if err != nil {
		return at, err
	}
	switch {
	case k.Manager == "AWS": // its policy is for services alone, whoever asks
		return at, c.denied("User: " + c.who.ARN + " is not authorized to perform: kms:" + c.operation.Name + " on resource: " + at.String() +
			" because no resource-based policy allows the kms:" + c.operation.Name + " action")
	case k.usable(at.arn) != nil:
		return at, k.usable(at.arn)
	case k.Usage != "ENCRYPT_DECRYPT":
		return at, failure(400, "InvalidKeyUsageException", "%s key usage is %s, which is not valid for %s.", at, k.Usage, c.operation.Name)
	case k.Spec != "SYMMETRIC_DEFAULT":
		return at, failure(501, "NotImplemented", "The sandbox does not encrypt with keys of the spec %s.", k.Spec)
	}
	return at, nil
}

// symmetric is the one algorithm of symmetric keys.
const symmetric = "SYMMETRIC_DEFAULT"

// algorithm refuses an algorithm that no symmetric key has.
func (c *call) algorithm(members ...string) error {
	for _, m := range members {
		if a := c.str(m); a != "" && a != symmetric {
			return failure(400, "InvalidKeyUsageException", "The algorithm %s is not valid for a symmetric key.", a)
		}
	}
	return nil
}

// dryRun says so where a call was only to be tried.
func (c *call) dryRun() error {
	if c.bool("DryRun") {
		return failure(412, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	}
	return nil
}

func encrypt(c *call) (map[string]any, error) {
	plain, _ := c.in["Plaintext"].([]byte)
	if len(plain) < 1 || len(plain) > 4096 {
		return nil, failure(400, "ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	at, err := c.cryptKey(c.str("KeyId"))
	if err := first(err, c.algorithm("EncryptionAlgorithm"), c.dryRun()); err != nil {
		return nil, err
	}
	return object{"CiphertextBlob": c.seal(at, plain, c.object("EncryptionContext")), "KeyId": at.String(), "EncryptionAlgorithm": symmetric}, nil
}

func decrypt(c *call) (map[string]any, error) {
	at, plain, err := c.unseal(c.in["CiphertextBlob"], c.str("KeyId"), c.object("EncryptionContext"))
	if err := first(c.algorithm("EncryptionAlgorithm"), err, c.dryRun()); err != nil {
		return nil, err
	}
	return object{"Plaintext": plain, "KeyId": at.String(), "EncryptionAlgorithm": symmetric}, nil
}

func reEncrypt(c *call) (map[string]any, error) {
	from, plain, err := c.unseal(c.in["CiphertextBlob"], c.str("SourceKeyId"), c.object("SourceEncryptionContext"))
	if err := first(c.algorithm("SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"), err); err != nil {
		return nil, err
	}
	to, err := c.cryptKey(c.str("DestinationKeyId"))
	if err := first(err, c.dryRun()); err != nil {
		return nil, err
	}
	return object{"CiphertextBlob": c.seal(to, plain, c.object("DestinationEncryptionContext")), "SourceKeyId": from.String(), "KeyId": to.String(),
		"SourceEncryptionAlgorithm": symmetric, "DestinationEncryptionAlgorithm": symmetric}, nil
}

// generateDataKey makes a key for the caller to encrypt with by itself, and the
// same encrypted.
func generateDataKey(c *call) (map[string]any, error) {
	n, given := c.int("NumberOfBytes")
	spec := c.str("KeySpec")
	switch {
	case given == (spec != ""):
		return nil, failure(400, "ValidationException", "Please specify either number of bytes or key spec.")
	case given && (n < 1 || n > 1024):
		return nil, failure(400, "ValidationException", "1 validation error detected: Value '%d' at 'numberOfBytes' failed to satisfy constraint: between 1 and 1024", n)
	case spec == "AES_128":
		n = 16
	case spec == "AES_256":
		n = 32
	case !given:
		return nil, failure(400, "ValidationException", "1 validation error detected: Value '%s' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]", spec)
	}
	at, err := c.cryptKey(c.str("KeyId"))
	if err := first(err, c.dryRun()); err != nil {
		return nil, err
	}
	plain := c.random(int(n))
	out := object{"CiphertextBlob": c.seal(at, plain, c.object("EncryptionContext")), "KeyId": at.String()}
	if c.operation.Name == "GenerateDataKey" {
		out["Plaintext"] = plain
	}
	return out, nil
}

// cryptContext is the encryption context that an action of the call is on.
func (c *call) cryptContext(action string) object {
	switch {
	case c.operation.Service.Name != "kms":
		return nil
	case strings.HasSuffix(action, ":ReEncryptFrom"):
		return c.object("SourceEncryptionContext")
	case strings.HasSuffix(action, ":ReEncryptTo"):
		return c.object("DestinationEncryptionContext")
	}
	return c.object("EncryptionContext")
}

// onCiphertext is for an operation on the key that a ciphertext names. One that
// can't be read names none: the operation will say so, to whomever.
func onCiphertext(member string) func(*call, []need) []need {
	return func(c *call, own []need) []need {
		own = slices.Clone(own[:1])
		if name := c.str(member); name != "" {
			own[0].resource = c.keyNamed(name)
			return own
		}
		s, err := readSealed(c.in["CiphertextBlob"])
		if err != nil {
			return nil
		}
		own[0].resource = s.key
		return own
	}
}

// onBothKeys is for ReEncrypt, which decrypts with one key and encrypts with
// another. Source: KMS API Reference, "ReEncrypt".
func onBothKeys(c *call, own []need) []need {
	to := own[0]
	to.action, to.resource = "kms:ReEncryptTo", c.keyNamed(c.str("DestinationKeyId"))
	from := onCiphertext("SourceKeyId")(c, own)
	for i := range from {
		from[i].action = "kms:ReEncryptFrom"
	}
	return append(from, to)
}
