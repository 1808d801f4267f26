package awsapi

import (
	"strings"
	"sync"
)

// faceCache is a service as it once was.
type faceCache struct {
	once sync.Once
	face *Service
}

// asAsked is the service in the form of a request: SQS, which clients of before
// November 2023 ask by the query protocol, is its older self to them. The models
// have no more than what it speaks today.
func (s *Service) asAsked(h hint) *Service {
	if h.protocol != Query || s.Name != "sqs" || s.Protocol != JSON {
		return s
	}
	s.older.once.Do(func() { s.older.face = s.queryFace() })
	return s.older.face
}

// queryFace gives SQS as it speaks the query protocol: the same operations, whose
// lists and maps have names of their own. Source: Amazon SQS API Reference of the
// query protocol, as its examples have it.
func (s *Service) queryFace() *Service {
	face := &Service{
		Name: s.Name, APIVersion: s.APIVersion, ServiceID: s.ServiceID, FullName: s.FullName, EndpointPrefix: s.EndpointPrefix, SigningName: s.SigningName,
		SignatureVersion: s.SignatureVersion, Auth: s.Auth, Protocol: Query, Protocols: []string{string(Query)}, XMLNamespace: "http://queue.amazonaws.com/doc/" + s.APIVersion + "/",
		QueryCompatible: s.QueryCompatible, paginators: s.paginators, waiters: s.waiters,
	}
	made := map[*Shape]*Shape{}
	face.shapes = make([]Shape, len(s.shapes))
	for i := range s.shapes {
		made[&s.shapes[i]] = &face.shapes[i]
	}
	for i := range s.shapes {
		face.shapes[i] = s.shapes[i].inQuery(made)
	}
	face.ops = make([]Operation, len(s.ops))
	for i, o := range s.ops {
		o.Service, o.Input, o.Output = face, made[o.Input], made[o.Output]
		errors := make([]*Shape, len(o.Errors))
		for j, e := range o.Errors {
			errors[j] = made[e]
		}
		o.Errors = errors
		face.ops[i] = o
	}
	return face
}

// inQuery gives a shape with the names of the query protocol. made has the new
// shape for each old one.
func (s *Shape) inQuery(made map[*Shape]*Shape) Shape {
	out := *s
	moved := func(m *Member) *Member {
		if m == nil {
			return nil
		}
		c := *m
		c.Shape = made[m.Shape]
		return &c
	}
	out.Elem, out.Key = moved(s.Elem), moved(s.Key)
	if s.Type == Map {
		out.Key.LocationName, out.Elem.LocationName = "Name", "Value"
		if s.Name == "TagMap" {
			out.Key.LocationName = "Key"
		}
	}
	out.Members = make([]Member, len(s.Members))
	for i := range s.Members {
		m := moved(&s.Members[i])
		switch of := s.Members[i].Shape; {
		case m.Name == "Actions":
			m.LocationName = "ActionName"
		case of.Type == List && of.Elem.Shape.Type == Structure:
			m.LocationName = of.Elem.Shape.Name
		case of.Type == List || of.Type == Map:
			m.LocationName = strings.ToUpper(m.Name[:1]) + strings.TrimSuffix(m.Name[1:], "s")
		}
		out.Members[i] = *m
	}
	return out
}
