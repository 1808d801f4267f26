package sandbox

import (
	"testing"
	"time"
)

func TestRecommendations(t *testing.T) {
	w := newWorld(t)
	status := func() any { return w.do("compute-optimizer", "GetEnrollmentStatus", nil)["status"] }
	if status() != "Inactive" {
		t.Errorf("%v", status())
	}
	w.fails("OptInRequiredException", "compute-optimizer", "GetEC2InstanceRecommendations", nil)
	w.fails("InvalidParameterValueException", "compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Pending"})
	w.do("compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Active"})
	arn := func(id string) string { return "arn:aws:ec2:eu-west-1:111122223333:instance/" + id }
	idle, busy, fine := w.launch(object{"InstanceType": "m5.xlarge"}), w.launch(object{"InstanceType": "m5.large"}), w.launch(object{"InstanceType": "r5.large"})
	for _, p := range []MetricPattern{
		{Dimensions: map[string]string{"InstanceId": idle}, Mean: 2, Noise: 1},
		{Dimensions: map[string]string{"InstanceId": busy}, Mean: 90, Noise: 8},
		{Dimensions: map[string]string{"InstanceId": fine}, Mean: 60, Noise: 10},
	} {
		p.Namespace, p.Name, p.High = "AWS/EC2", "CPUUtilization", 100
		if _, err := w.AddMetric(p); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(in object) map[string]object {
		t.Helper()
		out := map[string]object{}
		for _, r := range objects(w.do("compute-optimizer", "GetEC2InstanceRecommendations", in)["instanceRecommendations"]) {
			out[last(r["instanceArn"].(string))] = r
		}
		return out
	}
	w.clock.Advance(23 * time.Hour)
	if got := ask(nil); len(got) != 0 {
		t.Errorf("before the first analysis: %v", got)
	}
	w.clock.Advance(2 * time.Hour)
	if got := ask(nil); len(got) != 0 {
		t.Errorf("with a day of data: %v", got)
	}
	w.clock.Advance(48 * time.Hour)
	got := ask(nil)
	for id, want := range map[string]string{idle: "Overprovisioned", busy: "Underprovisioned", fine: "Optimized"} {
		if got[id]["finding"] != want {
			t.Errorf("%v: %v, want %s", got[id]["currentInstanceType"], got[id]["finding"], want)
		}
	}
	// Without an agent in it nothing says how much memory it needs: none is taken away.
	best := objects(got[idle]["recommendationOptions"])[0]
	if memory := sizes[best["instanceType"].(string)].memory; memory < sizes["m5.xlarge"].memory {
		t.Errorf("%v has less memory", best["instanceType"])
	}
	if best["rank"] != int64(1) || lookup(best, "savingsOpportunity.estimatedMonthlySavings.value")[0].(float64) <= 0 || got[idle]["idle"] != "True" || got[busy]["idle"] != "False" {
		t.Errorf("%v", best)
	}
	if name := objects(got[busy]["recommendationOptions"])[0]["instanceType"].(string); float64(sizes[name].vcpus)*sizes[name].baseline <= 2 {
		t.Errorf("more than %s is needed", name)
	}
	if _, err := w.AddMetric(MetricPattern{Namespace: "CWAgent", Name: "mem_used_percent", Dimensions: map[string]string{"InstanceId": idle}, Mean: 6}); err != nil {
		t.Fatal(err)
	}
	if name := objects(ask(nil)[idle]["recommendationOptions"])[0]["instanceType"]; name != "t3.small" {
		t.Errorf("6%% of 16 GiB and 3%% of 4 vCPUs: %v", name)
	}
	if got := ask(object{"instanceArns": ids(arn(busy))}); len(got) != 1 || got[busy] == nil {
		t.Errorf("%v", got)
	}
	if got := ask(object{"filters": []any{object{"name": "Finding", "values": ids("Overprovisioned")}}}); len(got) != 1 || got[idle] == nil {
		t.Errorf("%v", got)
	}
	w.fails("InvalidParameterValueException", "compute-optimizer", "GetEC2InstanceRecommendations", object{"instanceArns": ids("arn:aws:ec2:us-east-1:111122223333:instance/" + busy)})
	w.fails("InvalidParameterValueException", "compute-optimizer", "GetEC2InstanceRecommendations", object{"nextToken": "x"})

	// The change that is recommended makes it right.
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(idle)})
	w.clock.Advance(time.Minute)
	w.do("ec2", "ModifyInstanceAttribute", object{"InstanceId": idle, "InstanceType": object{"Value": "t3.medium"}})
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(idle)})
	w.clock.Advance(24 * time.Hour)
	if got := ask(nil)[idle]; got["currentInstanceType"] != "t3.medium" {
		t.Errorf("%v", got)
	}
	w.do("compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Inactive"})
	w.fails("OptInRequiredException", "compute-optimizer", "GetEC2InstanceRecommendations", nil)
}

func TestVolumeRecommendations(t *testing.T) {
	w := newWorld(t)
	w.do("compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Active"})
	i := w.launch(object{})
	v := w.newVolume(object{"Size": int64(100), "VolumeType": "gp2"})
	loose := w.newVolume(object{"Size": int64(100), "VolumeType": "gp2"})
	w.do("ec2", "AttachVolume", object{"VolumeId": v, "InstanceId": i, "Device": "/dev/sdf"})
	w.clock.Advance(49 * time.Hour)
	found := map[string]object{}
	for _, r := range objects(w.do("compute-optimizer", "GetEBSVolumeRecommendations", nil)["volumeRecommendations"]) {
		found[last(r["volumeArn"].(string))] = r
	}
	if len(found) != 2 || found[loose] != nil || found[v]["finding"] != "NotOptimized" || lookupText(found[v], "volumeRecommendationOptions.configuration.volumeType") != "gp3" ||
		lookup(found[v], "currentConfiguration.rootVolume")[0] != false || lookup(found[v], "volumeRecommendationOptions.savingsOpportunity.estimatedMonthlySavings.value")[0].(float64) < 1.99 {
		t.Errorf("%v", found)
	}
}
