package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The fields of SPDX 2.3 (ISO/IEC 5962) that are written here.
type spdxDocument struct {
	SPDXVersion       string             `json:"spdxVersion"`
	DataLicense       string             `json:"dataLicense"`
	SPDXID            string             `json:"SPDXID"`
	Name              string             `json:"name"`
	DocumentNamespace string             `json:"documentNamespace"`
	CreationInfo      spdxCreation       `json:"creationInfo"`
	Packages          []spdxPackage      `json:"packages"`
	Relationships     []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	SPDXID           string            `json:"SPDXID"`
	Name             string            `json:"name"`
	VersionInfo      string            `json:"versionInfo"`
	DownloadLocation string            `json:"downloadLocation"`
	FilesAnalyzed    bool              `json:"filesAnalyzed"`
	LicenseConcluded string            `json:"licenseConcluded"`
	LicenseDeclared  string            `json:"licenseDeclared"`
	CopyrightText    string            `json:"copyrightText"`
	Checksums        []spdxChecksum    `json:"checksums,omitempty"`
	ExternalRefs     []spdxExternalRef `json:"externalRefs,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxExternalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

var notID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// document is the bill of materials of Paddock with its parts.
func document(parts []part, version string) ([]byte, error) {
	created, err := sourceDate()
	if err != nil {
		return nil, err
	}
	const self = "SPDXRef-paddock"
	none := "NOASSERTION"
	doc := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name:              "paddock-" + version,
		DocumentNamespace: "https://paddock.example/spdx/paddock-" + version + "-" + platform(),
		CreationInfo:      spdxCreation{Created: created.Format("2006-01-02T15:04:05Z"), Creators: []string{"Tool: paddock-licenses"}},
		Packages: []spdxPackage{{
			SPDXID: self, Name: "paddock", VersionInfo: version, DownloadLocation: none,
			LicenseConcluded: "Apache-2.0", LicenseDeclared: "Apache-2.0", CopyrightText: none,
		}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", self}},
	}
	for _, p := range parts {
		id := "SPDXRef-" + strings.Trim(notID.ReplaceAllString(p.name, "-"), "-")
		licence := strings.Join(p.licences, " AND ")
		out := spdxPackage{
			SPDXID: id, Name: p.name, VersionInfo: p.version, DownloadLocation: none,
			LicenseConcluded: licence, LicenseDeclared: licence, CopyrightText: none,
		}
		if p.sha256 != "" {
			out.Checksums = []spdxChecksum{{"SHA256", p.sha256}}
		}
		if p.url != "" {
			out.ExternalRefs = []spdxExternalRef{{"PACKAGE-MANAGER", "purl", p.url}}
		}
		doc.Packages = append(doc.Packages, out)
		doc.Relationships = append(doc.Relationships, spdxRelationship{self, "CONTAINS", id})
	}
	raw, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode bill of materials: %w", err)
	}
	return append(raw, '\n'), nil
}

// sourceDate is the time that reproducible builds agree on (reproducible-builds.org, SOURCE_DATE_EPOCH:
// seconds since 1970), or now.
func sourceDate() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", s)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
