package awsapi

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"sync"
)

// A model pack is magic, the length of its index, the index as JSON, and the
// blobs of the services, each compressed by itself so that one can be loaded
// without the others.
const packMagic = "awsapi/2"

// maxBlob bounds what one service may decompress to. The largest, ec2, needs
// about 600 kB.
const maxBlob = 16 << 20

//go:embed models.pack
var embedded []byte

// Manifest says what a pack was made of.
type Manifest struct {
	Botocore   string `json:"botocore"` // its version
	Services   int    `json:"services"`
	Operations int    `json:"operations"`
	SHA256     string `json:"sha256"` // of the blobs, in hex
}

type packIndex struct {
	Manifest   Manifest        `json:"manifest"`
	Partitions json.RawMessage `json:"partitions"` // botocore's partitions.json
	Services   []packEntry     `json:"services"`   // sorted by name
}

type packEntry struct {
	Name   string `json:"name"`
	Prefix string `json:"prefix"` // endpoint prefix
	Sign   string `json:"sign"`   // signing name
	Target string `json:"target,omitempty"`
	Offset int    `json:"offset"`
	Size   int    `json:"size"`
	Raw    int    `json:"raw"` // size of the blob, decompressed
}

// WritePack makes a pack of services. The same services give the same bytes.
func WritePack(w io.Writer, botocore string, partitions []byte, services []*Service) error {
	sort.Slice(services, func(i, j int) bool { return services[i].Name < services[j].Name })
	index := packIndex{Manifest: Manifest{Botocore: botocore, Services: len(services)}}
	var compact bytes.Buffer
	if err := json.Compact(&compact, partitions); err != nil {
		return fmt.Errorf("awsapi: partitions: %w", err)
	}
	index.Partitions = compact.Bytes()
	var blobs bytes.Buffer
	for _, s := range services {
		offset := blobs.Len()
		z, err := flate.NewWriter(&blobs, flate.BestCompression)
		if err != nil {
			return err
		}
		raw := encodeService(s)
		if len(raw) > maxBlob {
			return fmt.Errorf("awsapi: the model of %s has %d bytes; at most %d fit a pack", s.Name, len(raw), maxBlob)
		}
		if _, err := z.Write(raw); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		index.Manifest.Operations += len(s.ops)
		index.Services = append(index.Services, packEntry{Name: s.Name, Prefix: s.EndpointPrefix, Sign: s.SigningName, Target: s.TargetPrefix, Offset: offset, Size: blobs.Len() - offset, Raw: len(raw)})
	}
	sum := sha256.Sum256(blobs.Bytes())
	index.Manifest.SHA256 = hex.EncodeToString(sum[:])
	head, err := json.Marshal(index)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte(packMagic), binary.BigEndian.AppendUint32(nil, uint32(len(head))), head, blobs.Bytes()} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Catalog holds the models of many services. Each is decoded when it is first
// asked for. A catalog may be used by many goroutines.
type Catalog struct {
	index      packIndex
	blobs      []byte
	partitions partitionsCache

	mu     sync.Mutex
	loaded map[string]*Service
}

// Embedded is the catalog that is compiled in.
func Embedded() (*Catalog, error) { return embeddedOnce() }

var embeddedOnce = sync.OnceValues(func() (*Catalog, error) { return OpenPack(embedded) })

// OpenPack opens a pack that WritePack made. It checks the whole pack's sum, so
// that a service that is loaded later is as it was written.
func OpenPack(data []byte) (*Catalog, error) {
	rest, ok := bytes.CutPrefix(data, []byte(packMagic))
	if !ok || len(rest) < 4 {
		return nil, fmt.Errorf("awsapi: not a model pack of the form %s", packMagic)
	}
	n := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	if uint64(n) > uint64(len(rest)) {
		return nil, errCorrupt
	}
	c := &Catalog{blobs: rest[n:], loaded: map[string]*Service{}}
	if err := json.Unmarshal(rest[:n], &c.index); err != nil {
		return nil, fmt.Errorf("%w: its index: %v", errCorrupt, err)
	}
	if sum := sha256.Sum256(c.blobs); hex.EncodeToString(sum[:]) != c.index.Manifest.SHA256 {
		return nil, fmt.Errorf("%w: its sum does not fit", errCorrupt)
	}
	for i, e := range c.index.Services {
		if e.Offset < 0 || e.Size < 0 || e.Offset > len(c.blobs) || e.Size > len(c.blobs)-e.Offset ||
			e.Raw < 0 || e.Raw > maxBlob || i > 0 && c.index.Services[i-1].Name >= e.Name {
			return nil, fmt.Errorf("%w: its entry for %s", errCorrupt, e.Name)
		}
	}
	return c, nil
}

// NewCatalog makes a catalog of services that are at hand, with botocore's
// partitions.json.
func NewCatalog(partitions []byte, services ...*Service) (*Catalog, error) {
	var b bytes.Buffer
	if err := WritePack(&b, "", partitions, services); err != nil {
		return nil, err
	}
	return OpenPack(b.Bytes())
}

// Manifest says what the catalog was made of.
func (c *Catalog) Manifest() Manifest { return c.index.Manifest }

// Services are the names of all services, sorted.
func (c *Catalog) Services() []string {
	names := make([]string, len(c.index.Services))
	for i, e := range c.index.Services {
		names[i] = e.Name
	}
	return names
}

func (c *Catalog) entry(name string) (packEntry, bool) {
	all := c.index.Services
	i := sort.Search(len(all), func(i int) bool { return all[i].Name >= name })
	if i < len(all) && all[i].Name == name {
		return all[i], true
	}
	return packEntry{}, false
}

// Service gives a service by botocore's name. The error is an *UnknownError for
// a name that is not in the catalog.
func (c *Catalog) Service(name string) (*Service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.loaded[name]; ok {
		return s, nil
	}
	e, ok := c.entry(name)
	if !ok {
		return nil, &UnknownError{Kind: "service", Name: name, Near: nearest(name, c.Services())}
	}
	raw := make([]byte, e.Raw)
	z := flate.NewReader(bytes.NewReader(c.blobs[e.Offset : e.Offset+e.Size]))
	if _, err := io.ReadFull(z, raw); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", errCorrupt, name, err)
	}
	s, err := decodeService(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := checkService(s, name); err != nil {
		return nil, err
	}
	c.loaded[name] = s
	return s, nil
}

// Operation gives an operation by the names of service and operation. The error
// is an *UnknownError for a name that is not in the catalog.
func (c *Catalog) Operation(service, operation string) (*Operation, error) {
	s, err := c.Service(service)
	if err != nil {
		return nil, err
	}
	return s.Operation(operation)
}
