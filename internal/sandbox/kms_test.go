package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAKeysRotation(t *testing.T) {
	w := newWorld(t)
	key := object{"KeyId": w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]}
	if got := w.do("kms", "GetKeyRotationStatus", key); got["KeyRotationEnabled"] != false || got["RotationPeriodInDays"] != nil {
		t.Errorf("%v", got)
	}
	w.do("kms", "EnableKeyRotation", key)
	if got := w.do("kms", "GetKeyRotationStatus", key); got["KeyRotationEnabled"] != true || got["RotationPeriodInDays"] != int64(365) || !got["NextRotationDate"].(time.Time).Equal(w.clock.Now().Add(365*24*time.Hour)) {
		t.Errorf("%v", got)
	}
	w.fails("ValidationException", "kms", "EnableKeyRotation", object{"KeyId": key["KeyId"], "RotationPeriodInDays": int64(30)})
	w.do("kms", "DisableKeyRotation", key)
	if got := w.do("kms", "GetKeyRotationStatus", key)["KeyRotationEnabled"]; got != false {
		t.Errorf("%v", got)
	}
	w.do("kms", "DisableKey", key)
	w.fails("DisabledException", "kms", "EnableKeyRotation", key)
	rsa := w.do("kms", "CreateKey", object{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})["KeyMetadata"].(object)["KeyId"]
	w.fails("UnsupportedOperationException", "kms", "EnableKeyRotation", object{"KeyId": rsa})
	w.fails("ValidationException", "kms", "CreateKey", object{"KeySpec": "RSA_2048"})
	aws := object{"KeyId": ebsAlias}
	if got := w.do("kms", "GetKeyRotationStatus", aws)["KeyRotationEnabled"]; got != true {
		t.Errorf("AWS rotates its own keys: %v", got)
	}
	for _, operation := range []string{"EnableKeyRotation", "DisableKey", "ScheduleKeyDeletion"} {
		w.fails("AccessDeniedException", "kms", operation, aws)
	}
}

func TestAKeysDeletionWaits(t *testing.T) {
	w := newWorld(t)
	key := object{"KeyId": w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"]}
	state := func() any { return w.do("kms", "DescribeKey", key)["KeyMetadata"].(object)["KeyState"] }
	w.fails("ValidationException", "kms", "ScheduleKeyDeletion", object{"KeyId": key["KeyId"], "PendingWindowInDays": int64(3)})
	out := w.do("kms", "ScheduleKeyDeletion", object{"KeyId": key["KeyId"], "PendingWindowInDays": int64(7)})
	if out["KeyState"] != "PendingDeletion" || state() != "PendingDeletion" {
		t.Errorf("%v, %v", out, state())
	}
	for _, operation := range []string{"EnableKey", "EnableKeyRotation", "ScheduleKeyDeletion"} {
		w.fails("KMSInvalidStateException", "kms", operation, key)
	}
	w.fails("KMSInvalidStateException", "kms", "GenerateDataKeyWithoutPlaintext", object{"KeyId": key["KeyId"], "KeySpec": "AES_256"})
	w.clock.Advance(6 * 24 * time.Hour)
	w.do("kms", "CancelKeyDeletion", key)
	w.clock.Advance(30 * 24 * time.Hour)
	if state() != "Disabled" {
		t.Errorf("%v after the deletion was cancelled", state())
	}
	w.fails("KMSInvalidStateException", "kms", "CancelKeyDeletion", key)
	w.do("kms", "ScheduleKeyDeletion", key)
	w.clock.Advance(30*24*time.Hour - time.Second)
	if state() != "PendingDeletion" {
		t.Errorf("%v a second before", state())
	}
	w.clock.Advance(time.Second)
	w.fails("NotFoundException", "kms", "DescribeKey", key)
	if got := w.do("kms", "ListKeys", nil)["Keys"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestKeyPolicies(t *testing.T) {
	e := newEstate(t)
	key := e.text("{{e.key}}")
	def := e.do("kms", "GetKeyPolicy", object{"KeyId": key})["Policy"].(string)
	if !strings.Contains(def, `"arn:aws:iam::111122223333:root"`) {
		t.Errorf("%s", def)
	}
	bob := policyOf(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/team/bob"},"Action":"kms:*","Resource":"*"}`)
	e.fails("MalformedPolicyDocumentException", "kms", "PutKeyPolicy", object{"KeyId": key, "Policy": bob}) // it would lock its maker out
	e.fails("MalformedPolicyDocumentException", "kms", "CreateKey", object{"Policy": bob})
	e.fails("MalformedPolicyDocumentException", "kms", "PutKeyPolicy", object{"KeyId": key, "Policy": "{"})
	e.fails("MalformedPolicyDocumentException", "kms", "PutKeyPolicy", object{"KeyId": key, "Policy": strings.ReplaceAll(bob, "team/bob", "nobody"), "BypassPolicyLockoutSafetyCheck": true})
	e.fails("NotFoundException", "kms", "PutKeyPolicy", object{"KeyId": key, "PolicyName": "other", "Policy": def})
	e.do("kms", "PutKeyPolicy", object{"KeyId": key, "Policy": bob, "BypassPolicyLockoutSafetyCheck": true})
	admin := e.user("admin", allows("*"))
	admin.fails("AccessDeniedException", "kms", "GetKeyPolicy", object{"KeyId": key})
	admin.fails("AccessDeniedException", "kms", "PutKeyPolicy", object{"KeyId": key, "Policy": def})
	e.as(e.do("iam", "CreateAccessKey", object{"UserName": "bob"})["AccessKey"].(object)["AccessKeyId"].(string)).do("kms", "PutKeyPolicy", object{"KeyId": key, "Policy": bob})

	// Across accounts both sides must allow, and aliases don't go across.
	share := policyOf(allowRoot(home), `{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":["kms:DescribeKey","kms:GenerateDataKey*"],"Resource":"*"}`)
	e.do("kms", "PutKeyPolicy", object{"KeyId": key, "Policy": share})
	arn := e.text("{{e.keyARN}}")
	e.other.do("kms", "DescribeKey", object{"KeyId": arn})
	e.other.do("kms", "GenerateDataKeyWithoutPlaintext", object{"KeyId": arn, "KeySpec": "AES_256"})
	e.other.fails("AccessDeniedException", "kms", "DisableKey", object{"KeyId": arn})
	e.other.fails("NotFoundException", "kms", "DescribeKey", object{"KeyId": "alias/data"})
	e.other.user("eve", "").fails("AccessDeniedException", "kms", "DescribeKey", object{"KeyId": arn})
}

func allowRoot(account string) string {
	return `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"}`
}

func TestKeysInPages(t *testing.T) {
	w := newWorld(t)
	var want []string
	for range 5 {
		want = append(want, w.do("kms", "CreateKey", nil)["KeyMetadata"].(object)["KeyId"].(string))
	}
	slices.Sort(want)
	var got []string
	in := object{"Limit": int64(2)}
	for range 4 {
		out := w.do("kms", "ListKeys", in)
		for _, k := range objects(out["Keys"]) {
			got = append(got, k["KeyId"].(string))
		}
		if out["Truncated"] == false {
			break
		}
		in["Marker"] = out["NextMarker"]
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.fails("InvalidMarkerException", "kms", "ListKeys", object{"Marker": "x"})
	key := want[0]
	w.do("kms", "CreateAlias", object{"AliasName": "alias/a", "TargetKeyId": key})
	w.fails("AlreadyExistsException", "kms", "CreateAlias", object{"AliasName": "alias/a", "TargetKeyId": key})
	w.fails("InvalidAliasNameException", "kms", "CreateAlias", object{"AliasName": "a", "TargetKeyId": key})
	if got := w.do("kms", "ListAliases", object{"KeyId": key})["Aliases"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	w.do("kms", "DeleteAlias", object{"AliasName": "alias/a"})
	w.fails("NotFoundException", "kms", "DescribeKey", object{"KeyId": "alias/a"})
	w.do("kms", "TagResource", object{"KeyId": key, "Tags": []any{object{"TagKey": "a", "TagValue": "b"}, object{"TagKey": "c", "TagValue": "d"}}})
	w.do("kms", "UntagResource", object{"KeyId": key, "TagKeys": ids("a")})
	if got := w.do("kms", "ListResourceTags", object{"KeyId": key})["Tags"].([]any); len(got) != 1 || got[0].(object)["TagKey"] != "c" {
		t.Errorf("%v", got)
	}
	g := w.do("kms", "CreateGrant", object{"KeyId": key, "GranteePrincipal": "arn:aws:iam::111122223333:role/r", "Operations": ids("Decrypt"), "Name": "n"})["GrantId"]
	if again := w.do("kms", "CreateGrant", object{"KeyId": key, "GranteePrincipal": "arn:aws:iam::111122223333:role/r", "Operations": ids("Decrypt"), "Name": "n"})["GrantId"]; again != g {
		t.Errorf("the same grant twice: %v, %v", g, again)
	}
	w.do("kms", "RevokeGrant", object{"KeyId": key, "GrantId": g})
	w.fails("NotFoundException", "kms", "RevokeGrant", object{"KeyId": key, "GrantId": g})
	if got := w.do("kms", "ListGrants", object{"KeyId": key})["Grants"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
