<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.28.0" styleCategories="Symbology|Labeling" labelsEnabled="1">
  <renderer-v2 type="categorizedSymbol" attr="if(&quot;checked&quot;, 'checked', 'to check')" symbollevels="0" enableorderby="0" forceraster="0" referencescale="-1">
    <categories>
      <category value="to check" symbol="0" label="to check" render="true" type="string"/>
      <category value="checked" symbol="1" label="checked" render="true" type="string"/>
    </categories>
    <symbols>
      <symbol type="fill" name="0" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option type="QString" name="color" value="230,0,126,0"/>
            <Option type="QString" name="style" value="no"/>
            <Option type="QString" name="outline_color" value="230,0,126,255"/>
            <Option type="QString" name="outline_style" value="solid"/>
            <Option type="QString" name="outline_width" value="0.7"/>
            <Option type="QString" name="outline_width_unit" value="MM"/>
            <Option type="QString" name="joinstyle" value="miter"/>
          </Option>
        </layer>
      </symbol>
      <symbol type="fill" name="1" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option type="QString" name="color" value="0,140,70,40"/>
            <Option type="QString" name="style" value="solid"/>
            <Option type="QString" name="outline_color" value="0,140,70,255"/>
            <Option type="QString" name="outline_style" value="solid"/>
            <Option type="QString" name="outline_width" value="0.7"/>
            <Option type="QString" name="outline_width_unit" value="MM"/>
            <Option type="QString" name="joinstyle" value="miter"/>
          </Option>
        </layer>
      </symbol>
    </symbols>
  </renderer-v2>
  <labeling type="simple">
    <settings>
      <text-style fieldName="rank" isExpression="0" fontSize="11" fontSizeUnit="Point" fontWeight="75" namedStyle="Bold" textColor="40,40,40,255" textOpacity="1">
        <text-buffer bufferDraw="1" bufferSize="1" bufferSizeUnits="MM" bufferColor="255,255,255,255" bufferOpacity="1" bufferJoinStyle="128"/>
      </text-style>
      <placement placement="1" quadOffset="8" xOffset="1" yOffset="1" offsetUnits="MM" priority="10" layerType="PolygonGeometry" geometryGeneratorEnabled="1" geometryGeneratorType="PointGeometry" geometryGenerator="make_point(x_min($geometry), y_max($geometry))"/>
      <rendering displayAll="1" obstacle="0" drawLabels="1"/>
    </settings>
  </labeling>
</qgis>
